//! Runs `simulate`: serves a fake export, and a customer's bucket where one is named, until a signal.

use std::sync::Arc;

use e3sync::error::{Error, ErrorKind, Result};
use e3sync::progress::Silent;
use e3sync::simulator::{
    Checksum, Cloud, Content, CustomerBucket, CustomerSettings, Fault, S3Path, Settings, Simulator,
};
use jiff::Timestamp;

use super::{Outcome, success};
use crate::cli::args::{SimulateArgs, SimulatorArgs};
use crate::cli::units::ByteSize;
use crate::cli::{output, signals};

/// The region of the export's bucket at S3.
const REGION: &str = "us-east-1";

/// Runs `e3sync simulate` until a signal.
pub async fn run(arguments: SimulateArgs) -> Outcome {
    let mut stop = signals::listen(None, Arc::new(Silent));
    let simulator = start(&arguments.simulator).await?;
    let bucket = match &arguments.customer_bucket {
        Some(name) => Some(start_bucket(name, &arguments).await?),
        None => None,
    };
    for line in
        variables(&simulator, arguments.simulator.oauth).into_iter().chain(bucket.iter().flat_map(bucket_variables))
    {
        output::line(line);
    }
    output::message("serving a simulated export until Ctrl-C; put the lines above into another shell");
    // The sender lives as long as the process.
    let _ = stop.wait_for(Option::is_some).await;
    if let Some(bucket) = bucket {
        bucket.stop().await;
    }
    simulator.stop().await;
    success()
}

/// Starts a customer's bucket beside the simulator, on a port of its own.
async fn start_bucket(name: &str, arguments: &SimulateArgs) -> Result<CustomerBucket> {
    let mut settings = CustomerSettings::new(name, Timestamp::now());
    settings.seed = arguments.simulator.seed;
    settings.listen.set_ip(arguments.simulator.listen.ip());
    settings.quirks.clone_from(&arguments.customer_quirk);
    // The region of the export, so that one variable serves both.
    REGION.clone_into(&mut settings.region);
    settings.check().map_err(|reason| {
        Error::new(ErrorKind::Usage, reason).with_hint("choose another name with --customer-bucket")
    })?;
    CustomerBucket::start(settings).await.map_err(|cause| {
        Error::new(ErrorKind::Usage, "the customer's bucket cannot start")
            .with_hint("choose an address of this machine with --listen")
            .with_cause(cause)
    })
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
    settings.oauth_lifetime = arguments.oauth_lifetime.0;
    settings.oauth_rotates = arguments.oauth_rotate;
    settings.credential_lifetime = arguments.credential_lifetime.map(|span| span.0);
    settings.checksum = arguments.checksum.parse::<Checksum>().map_err(|reason| {
        Error::new(ErrorKind::Usage, reason)
            .with_hint(format!("one of: {}", Checksum::NAMES.map(|(name, _)| name).join(", ")))
    })?;
    settings.expiration_form =
        arguments.expiration_form.parse().map_err(|reason: String| Error::new(ErrorKind::Usage, reason))?;
    settings.gcp_uri.clone_from(&arguments.gcp_uri);
    if let Some(path) = &arguments.s3_path {
        settings.s3_path = S3Path::Verbatim(path.clone());
    }
    for text in &arguments.bucket_name {
        let usage = |reason| Error::new(ErrorKind::Usage, reason).with_hint("write as in --bucket-name gcs=NAME");
        let (cloud, name) = text.split_once('=').ok_or_else(|| usage(format!("`{text}` has no =")))?;
        settings.bucket_names.insert(cloud.parse::<Cloud>().map_err(usage)?, name.to_owned());
    }
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
fn variables(simulator: &Simulator, is_oauth: bool) -> Vec<String> {
    let url = simulator.url();
    let (client_id, secret) = simulator.oauth_application();
    let login = if is_oauth {
        vec![
            format!("export E3SYNC_OAUTH_CLIENT_ID='{client_id}'"),
            format!("export E3SYNC_OAUTH_CLIENT_SECRET_COMMAND='echo {secret}'"),
            format!("export E3SYNC_OAUTH_TOKEN_URL='{url}/oauth2/token'"),
            format!("export E3SYNC_OAUTH_AUTHORIZE_URL='{url}/oauth2/authorize'"),
        ]
    } else {
        vec![format!("export OPTIMIZELY_API_TOKEN='{}'", simulator.token())]
    };
    let others = [
        format!("export E3SYNC_API_URL='{url}'"),
        format!("export E3SYNC_SOURCE_ENDPOINT_URL='{url}'"),
        format!("export AWS_ENDPOINT_URL_S3='{url}'"),
        format!("export AWS_DEFAULT_REGION='{REGION}'"),
    ];
    login.into_iter().chain(others).collect()
}

/// The lines that point e3sync at a customer's bucket as its destination.
fn bucket_variables(bucket: &CustomerBucket) -> Vec<String> {
    let settings = bucket.settings();
    vec![
        format!("export AWS_ACCESS_KEY_ID='{}'", settings.access_key.access_key_id),
        format!("export AWS_SECRET_ACCESS_KEY='{}'", settings.access_key.secret_access_key),
        format!("export AWS_REGION='{}'", settings.region),
        format!("export GOOGLE_OAUTH_ACCESS_TOKEN='{}'", settings.bearer),
        format!("export E3SYNC_DEST='s3://{}/mirror'", settings.bucket),
        format!("export E3SYNC_DEST_ENDPOINT_URL='{}'", bucket.url()),
    ]
}
