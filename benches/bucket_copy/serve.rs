//! The simulated export and the customer's bucket in a process of their own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use e3sync::simulator::{
    AccessKey, BucketOperation, Cloud, Content, CustomerBucket, CustomerSettings, Operation, Settings, Simulator,
};
use jiff::Timestamp;

use super::ROLE_SERVE;

/// The name of the customer's bucket.
pub const BUCKET: &str = "bench-mirror";

/// A long-lived key for the export, so that a tool that knows no exchange can read it too.
pub const ACCESS_KEY_ID: &str = "AKIABENCHBENCHBENCH0";
pub const SECRET_ACCESS_KEY: &str = "bench-bench-bench-bench-bench-bench-0000";

/// What the export has: two partitions each day.
pub struct Export {
    pub days: u32,
    pub objects_per_partition: u32,
    pub size_bytes_min: u64,
    pub size_bytes_max: u64,
}

impl Export {
    pub fn partitions(&self) -> u64 {
        2 * u64::from(self.days)
    }

    pub fn objects(&self) -> u64 {
        self.partitions() * u64::from(self.objects_per_partition)
    }
}

/// What the servers have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The requests to the export, and those to the bucket, by kind.
    pub source: BTreeMap<String, u64>,
    pub destination: BTreeMap<String, u64>,
    /// The requests among them that wrote an object of the export as a whole.
    pub data_puts: u64,
    /// The objects of the export in the bucket, and their bytes.
    pub objects: u64,
    pub bytes: u64,
}

/// The two running servers; they end with their standard input.
pub struct Servers {
    pub export_url: String,
    pub token: String,
    /// Where the export's types are: its bucket and the keys' beginning.
    pub export_path: String,
    pub bucket_url: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub region: String,
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Servers {
    pub fn start(export: &Export) -> Self {
        let numbers =
            [export.days.into(), export.objects_per_partition.into(), export.size_bytes_min, export.size_bytes_max];
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ROLE_SERVE)
            .args(numbers.map(|number: u64| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut next = || line(&mut output);
        Self {
            export_url: next(),
            token: next(),
            export_path: next(),
            bucket_url: next(),
            access_key_id: next(),
            secret_access_key: next(),
            region: next(),
            _process: process,
            input,
            output,
        }
    }

    /// What was seen since the last call. The bucket is empty afterwards.
    pub fn take_seen(&mut self) -> Seen {
        writeln!(self.input).unwrap();
        let mut seen = Seen::default();
        loop {
            let line = line(&mut self.output);
            let [what, kind, count] = line.split(' ').collect::<Vec<_>>()[..] else { return seen };
            let count = count.parse().unwrap();
            match (what, kind) {
                ("source", kind) => drop(seen.source.insert(kind.to_owned(), count)),
                ("destination", kind) => drop(seen.destination.insert(kind.to_owned(), count)),
                ("stored", "puts") => seen.data_puts = count,
                ("stored", "objects") => seen.objects = count,
                ("stored", "bytes") => seen.bytes = count,
                _ => panic!("{line}"),
            }
        }
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The servers' own process.
pub fn main(arguments: &[String]) {
    let numbers: Vec<u64> = arguments.iter().map(|number| number.parse().unwrap()).collect();
    let [days, objects_per_day, size_bytes_min, size_bytes_max] = numbers[..] else { panic!("{arguments:?}") };
    let key = AccessKey { access_key_id: ACCESS_KEY_ID.to_owned(), secret_access_key: SECRET_ACCESS_KEY.to_owned() };
    let settings = Settings {
        days: u32::try_from(days).unwrap(),
        objects_per_day: u32::try_from(objects_per_day).unwrap(),
        odd_names: false,
        content: Content::Noise { size_bytes: size_bytes_min..=size_bytes_max },
        access_key: Some(key),
        ..Settings::new(Timestamp::now())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let simulator = runtime.block_on(Simulator::start(settings)).unwrap();
    let customer = CustomerSettings::new(BUCKET, Timestamp::now());
    let bucket = runtime.block_on(CustomerBucket::start(customer)).unwrap();
    println!("{}\n{}\n{}\n{}", simulator.url(), simulator.token(), export_path(&simulator), bucket.url());
    let settings = bucket.settings();
    let AccessKey { access_key_id, secret_access_key } = &settings.access_key;
    println!("{access_key_id}\n{secret_access_key}\n{}", settings.region);
    for _ in std::io::stdin().lines() {
        tell(&simulator, &bucket);
    }
}

fn export_path(simulator: &Simulator) -> String {
    let account = simulator.account();
    let key = account.bucket(Cloud::S3).and_then(|objects| objects.keys().next()).unwrap();
    let (prefix, _) = key.split_once("type=").unwrap();
    format!("{}/{prefix}", Cloud::S3.bucket_name(account.id()))
}

fn tell(simulator: &Simulator, bucket: &CustomerBucket) {
    let requests = simulator.requests();
    simulator.forget_requests();
    for operation in [Operation::Exchange, Operation::List, Operation::Get, Operation::Head, Operation::Other] {
        println!("source {operation:?} {}", requests.of(operation));
    }
    let requests = bucket.requests();
    bucket.forget_requests();
    for operation in OPERATIONS {
        println!("destination {operation:?} {}", requests.count(operation));
    }
    let is_data = |key: &str| key.ends_with(".parquet");
    let puts = requests.log.iter().filter(|request| request.operation == BucketOperation::Put);
    println!("stored puts {}", puts.filter(|request| is_data(&request.key)).count());
    let objects = bucket.objects();
    let sizes = objects.iter().filter(|(key, _)| is_data(key)).map(|(_, copy)| copy.bytes.len() as u64);
    println!("stored objects {}\nstored bytes {}\n", sizes.clone().count(), sizes.sum::<u64>());
    bucket.abort_uploads();
    for key in objects.keys() {
        bucket.remove_object(key);
    }
}

const OPERATIONS: [BucketOperation; 16] = [
    BucketOperation::Put,
    BucketOperation::Copy,
    BucketOperation::CreateUpload,
    BucketOperation::UploadPart,
    BucketOperation::CopyPart,
    BucketOperation::CompleteUpload,
    BucketOperation::AbortUpload,
    BucketOperation::ListUploads,
    BucketOperation::ListParts,
    BucketOperation::Delete,
    BucketOperation::DeleteMany,
    BucketOperation::List,
    BucketOperation::Get,
    BucketOperation::Head,
    BucketOperation::Lifecycle,
    BucketOperation::Other,
];
