use std::sync::Arc;

use e3sync::error::{Error, ErrorKind, Result};
use e3sync::progress::Silent;
use e3sync::simulator::{Checksum, Cloud, Content, Fault, Settings, Simulator};
use jiff::Timestamp;

use super::Outcome;
use crate::cli::args::SimulatorArgs;
use crate::cli::units::ByteSize;
use crate::cli::{output, signals, success};

/// Runs `e3sync simulate` until a signal.
pub async fn run(arguments: SimulatorArgs) -> Outcome {
    let mut stop = signals::listen(None, Arc::new(Silent));
    let simulator = start(&arguments).await?;
    for line in variables(&simulator) {
        output::line(line);
    }
    output::message("serving a simulated export until Ctrl-C; put the lines above into another shell");
    // The sender lives as long as the process.
    let _ = stop.wait_for(Option::is_some).await;
    simulator.stop().await;
    success()
}

/// Starts a simulator and sets its faults up.
pub async fn start(arguments: &SimulatorArgs) -> Result<Simulator> {
    let settings = settings(arguments)?;
    let faults = arguments.fault.iter().map(|text| {
        text.parse::<Fault>().map_err(|cause| {
            Error::new(ErrorKind::Usage, format!("`{text}` is not a fault"))
                .with_hint("for example: get:cut@1000 times=3, list:slowdown times=5, exchange:status=503 for=10s")
                .with_cause(cause)
        })
    });
    let faults = faults.collect::<Result<Vec<_>>>()?;
    let simulator = Simulator::start(settings).await.map_err(|cause| {
        Error::new(ErrorKind::Usage, "the simulator cannot start")
            .with_hint("choose a free port of this machine with --listen")
            .with_cause(cause)
    })?;
    for fault in faults {
        simulator.inject(fault);
    }
    Ok(simulator)
}

fn settings(arguments: &SimulatorArgs) -> Result<Settings> {
    let mut settings = Settings::new(Timestamp::now());
    settings.listen = arguments.listen;
    settings.clouds = clouds(&arguments.clouds)?;
    settings.success_on = settings.clouds.clone();
    settings.seed = arguments.seed;
    settings.days = arguments.days;
    settings.unfinished_days = arguments.unfinished_days;
    settings.objects_per_day = arguments.objects_per_day;
    settings.page_keys = arguments.page_keys;
    settings.latency = arguments.latency.map(|span| span.0);
    settings.credential_lifetime = arguments.credential_lifetime.map(|span| span.0);
    settings.checksum = arguments.checksum.parse::<Checksum>().map_err(|reason| {
        Error::new(ErrorKind::Usage, reason)
            .with_hint(format!("one of: {}", Checksum::NAMES.map(|(name, _)| name).join(", ")))
    })?;
    if let Some(sizes) = &arguments.noise {
        settings.content = noise(sizes)?;
        settings.odd_names = false;
    }
    settings.check().map_err(|reason| Error::new(ErrorKind::Usage, reason))?;
    Ok(settings)
}

fn clouds(names: &[String]) -> Result<Vec<Cloud>> {
    let clouds = names.iter().map(|name| name.parse::<Cloud>().map_err(|reason| Error::new(ErrorKind::Usage, reason)));
    clouds.collect()
}

/// Noise of sizes as in `16KiB..64KiB`, or of one size.
fn noise(sizes: &str) -> Result<Content> {
    let (from, to) = sizes.split_once("..").unwrap_or((sizes, sizes));
    match (from.parse::<ByteSize>(), to.parse::<ByteSize>()) {
        (Ok(from), Ok(to)) if from.0 <= to.0 => Ok(Content::Noise { size_bytes: from.0..=to.0 }),
        _ => Err(Error::new(ErrorKind::Usage, format!("`{sizes}` are no sizes")).with_hint("write as in 16KiB..64KiB")),
    }
}

/// The lines that point e3sync at the simulator, and other tools by way of `e3sync auth`.
fn variables(simulator: &Simulator) -> Vec<String> {
    let url = simulator.url();
    vec![
        format!("export OPTIMIZELY_API_TOKEN='{}'", simulator.token()),
        format!("export E3SYNC_API_URL='{url}'"),
        format!("export E3SYNC_SOURCE_ENDPOINT_URL='{url}'"),
        format!("export AWS_ENDPOINT_URL_S3='{url}'"),
        "export AWS_DEFAULT_REGION='us-east-1'".to_owned(),
    ]
}
