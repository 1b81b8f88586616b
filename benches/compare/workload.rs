//! What is mirrored, and how far away its server is.

/// The account of the export.
pub const ACCOUNT: &str = "12345678901";
/// The export's bucket.
pub const EXPORT_BUCKET: &str = "optimizely-events-data";
/// The bucket that mirrors are written to.
pub const MIRROR_BUCKET: &str = "bench-mirror";
/// Keys that every server here takes.
pub const ACCESS_KEY_ID: &str = "AKIABENCHBENCHBENCH0";
/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "bench-bench-bench-bench-bench-bench-0000";
/// The region that requests are signed for.
pub const REGION: &str = "us-east-1";
/// The first and the last day of the export.
pub const DAYS: [&str; 2] = ["2026-01-01", "2026-01-10"];

const MIB: u64 = 1 << 20;
const DAYS_COUNT: u64 = 10;
const TYPES: [(&str, &str); 2] = [("decisions", "experiment=18786493712"), ("events", "event=add_to_cart")];

/// Where the objects are brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    Directory,
    Bucket,
}

/// One measured job.
pub struct Workload {
    /// The letter by which it is chosen.
    pub id: &'static str,
    pub what: &'static str,
    /// The number of small objects.
    pub small_objects: u64,
    /// The least and the most bytes of a small object.
    pub small_bytes: [u64; 2],
    /// The number of objects of 256 MiB.
    pub large_objects: u64,
    /// The time from a request to its answer, in milliseconds.
    pub latency_ms: u64,
    /// The most that one connection carries in a second; 0 for as much as it can.
    pub bytes_per_second_max: u64,
    pub is_tls: bool,
    pub into: Into,
    /// The number of connections of the floor.
    pub floor_connections: usize,
}

const NEAR: Workload = Workload {
    id: "",
    what: "",
    small_objects: 0,
    small_bytes: [16 << 10, 64 << 10],
    large_objects: 0,
    latency_ms: 0,
    bytes_per_second_max: 0,
    is_tls: false,
    into: Into::Directory,
    floor_connections: 32,
};

/// All jobs.
pub const WORKLOADS: [Workload; 10] = [
    Workload { id: "a", what: "20,000 objects of 16-64 KiB", small_objects: 20_000, ..NEAR },
    Workload { id: "b", what: "8 objects of 256 MiB", large_objects: 8, ..NEAR },
    Workload { id: "c", what: "5,000 small objects and 4 of 256 MiB", small_objects: 5_000, large_objects: 4, ..NEAR },
    Workload {
        id: "e",
        what: "5,000 small objects, 30 ms a request",
        small_objects: 5_000,
        latency_ms: 30,
        floor_connections: 256,
        ..NEAR
    },
    Workload {
        id: "g",
        what: "8 objects of 256 MiB, 30 ms a request, 90 MB/s a connection",
        large_objects: 8,
        latency_ms: 30,
        bytes_per_second_max: 90_000_000,
        ..NEAR
    },
    Workload {
        id: "f",
        what: "5,000 small objects from bucket to bucket",
        small_objects: 5_000,
        into: Into::Bucket,
        ..NEAR
    },
    Workload {
        id: "fb",
        what: "4 objects of 256 MiB from bucket to bucket",
        large_objects: 4,
        into: Into::Bucket,
        ..NEAR
    },
    Workload { id: "ta", what: "20,000 small objects over TLS", small_objects: 20_000, is_tls: true, ..NEAR },
    Workload { id: "tb", what: "8 objects of 256 MiB over TLS", large_objects: 8, is_tls: true, ..NEAR },
    Workload {
        id: "far",
        what: "1,000 small objects, 300 ms a request",
        small_objects: 1_000,
        latency_ms: 300,
        floor_connections: 256,
        ..NEAR
    },
];

/// Ever more objects of one size: how costs grow.
pub const SCALES: [Workload; 5] = [
    Workload { id: "1k", what: "1,000 objects", small_objects: 1_000, ..TINY },
    Workload { id: "10k", what: "10,000 objects", small_objects: 10_000, ..TINY },
    Workload { id: "100k", what: "100,000 objects", small_objects: 100_000, ..TINY },
    Workload { id: "1m", what: "1,000,000 objects", small_objects: 1_000_000, ..TINY },
    Workload { id: "10m", what: "10,000,000 objects", small_objects: 10_000_000, ..TINY },
];

const TINY: Workload = Workload { small_bytes: [1 << 10, 1 << 10], ..NEAR };

/// An object of the export.
pub struct Object {
    pub key: String,
    pub size_bytes: u64,
}

impl Workload {
    /// The job of this letter.
    pub fn of(id: &str) -> &'static Self {
        WORKLOADS
            .iter()
            .chain(&SCALES)
            .find(|workload| workload.id == id)
            .unwrap_or_else(|| panic!("there is no workload {id}"))
    }

    /// The objects of the export, ascending by key, without the markers of whole days.
    pub fn objects(&self) -> Vec<Object> {
        let [least, most] = self.small_bytes;
        let small_bytes = |number| least + scattered(number) % (most - least + 1);
        let sizes = (0..self.small_objects).map(small_bytes).chain((0..self.large_objects).map(|_| 256 * MIB));
        let mut objects: Vec<_> = sizes.zip(0..).map(|(size_bytes, number)| object(number, size_bytes)).collect();
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        objects
    }

    /// The bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.objects().iter().map(|object| object.size_bytes).sum()
    }
}

/// `v1/account_id=ID/`: what the keys of the export begin with.
pub fn prefix() -> String {
    format!("v1/account_id={ACCOUNT}/")
}

/// The folders of the export's partitions.
pub fn partitions() -> impl Iterator<Item = String> {
    (0..DAYS_COUNT * TYPES.len() as u64).map(partition)
}

fn partition(number: u64) -> String {
    let (type_name, _) = TYPES[(number / DAYS_COUNT) as usize % TYPES.len()];
    format!("{}type={type_name}/date=2026-01-{:02}/", prefix(), number % DAYS_COUNT + 1)
}

fn object(number: u64, size_bytes: u64) -> Object {
    let partitions = DAYS_COUNT * TYPES.len() as u64;
    let (_, folder) = TYPES[((number % partitions) / DAYS_COUNT) as usize];
    let uuid = format!("{:08x}-16d5-4105-b8e8-c0f702201dd1", scattered(number) as u32);
    let key = format!("{}{folder}/part-{number:08}-{uuid}.c000.snappy.parquet", partition(number % partitions));
    Object { key, size_bytes }
}

/// A number without a pattern (the finaliser of splitmix64).
pub fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
