use std::time::Duration;

use e3sync::simulator::{Cloud, Content, Fault, Injected, Settings, Simulator};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::runtime::Runtime;

use super::E3sync;

/// The day that the tests take for today; the simulated days end the day before.
pub const TODAY: &str = "2026-11-21";

/// The cloud that this test program mirrors from: the same tests are built once for each.
pub const CLOUD: Cloud =
    if matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"suite_gcs") { Cloud::Gcs } else { Cloud::S3 };

/// What objects are verified against in that cloud.
pub const CHECKSUM: &str = if matches!(CLOUD, Cloud::Gcs) { "crc32c" } else { "crc64nvme" };

/// A simulated export that runs beside the test until dropped.
pub struct Export {
    runtime: Runtime,
    simulator: Option<Simulator>,
}

impl Export {
    /// An export of noise: `days` days of both types with `objects_per_day` objects of 1 to 4 KiB.
    pub fn of_noise(days: u32, objects_per_day: u32) -> Self {
        Self::of_noise_with(days, objects_per_day, |_| {})
    }

    /// The same, with further settings changed before it starts.
    pub fn of_noise_with(days: u32, objects_per_day: u32, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(|settings| {
            settings.days = days;
            settings.objects_per_day = objects_per_day;
            settings.content = Content::Noise { size_bytes: 1024..=4096 };
            settings.odd_names = false;
            change(settings);
        })
    }

    /// An export of Parquet files with all the oddities of the real one.
    pub fn of_parquet(days: u32) -> Self {
        Self::with(|settings| settings.days = days)
    }

    /// An export whose settings are changed before it starts.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // The clock must be the real one: signatures are checked against it.
        let mut settings = Settings::new(Timestamp::now());
        settings.today = TODAY.parse().unwrap();
        settings.clouds = vec![CLOUD];
        settings.success_on = vec![CLOUD];
        change(&mut settings);
        let simulator = runtime.block_on(Simulator::start(settings)).unwrap();
        Self { runtime, simulator: Some(simulator) }
    }

    /// The simulator itself.
    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }

    /// Sets a fault up, in the grammar of `e3sync simulate --fault`.
    pub fn inject(&self, fault: &str) -> Injected {
        self.simulator().inject(fault.parse::<Fault>().unwrap_or_else(|error| panic!("{fault}: {error}")))
    }

    /// A command that is pointed at this export and knows its token.
    pub fn command(&self, verb: &str) -> E3sync {
        let url = self.simulator().url();
        E3sync::new(verb)
            .env("E3SYNC_API_URL", &url)
            .env("E3SYNC_SOURCE_ENDPOINT_URL", &url)
            .secret_env("OPTIMIZELY_API_TOKEN", &self.simulator().token())
    }

    /// `sync` of all simulated days into a directory.
    pub fn sync(&self, destination: &std::path::Path) -> E3sync {
        let settings = self.simulator().settings();
        let first = settings.dates().next().unwrap();
        self.command("sync").arg(destination).args(["--from", &first.to_string(), "--today", TODAY])
    }

    /// The simulated days, oldest first.
    pub fn dates(&self) -> Vec<Date> {
        self.simulator().settings().dates().collect()
    }

    /// Every object of the export: its path below a destination, and its SHA-256.
    pub fn objects(&self) -> Vec<(String, String)> {
        let simulator = self.simulator();
        let mut objects = Vec::new();
        for type_name in &simulator.settings().types {
            for date in simulator.settings().dates() {
                for entry in simulator.manifest(CLOUD, type_name, date) {
                    let path = entry.key[entry.key.find("type=").unwrap()..].to_owned();
                    objects.push((path, entry.sha256_hex));
                }
            }
        }
        objects.sort();
        objects
    }

    /// Waits for something the simulator can tell; the test fails if it never comes.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Simulator) -> bool) {
        let began = std::time::Instant::now();
        while !is_so(self.simulator()) {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some(simulator) = self.simulator.take() {
            self.runtime.block_on(simulator.stop());
        }
    }
}
