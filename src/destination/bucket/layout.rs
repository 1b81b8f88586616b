//! The keys of the side folder and of the data (design.md section 3): the same below the prefix as
//! in a directory.

use sha2::{Digest as _, Sha256};

use crate::export::{Partition, SUCCESS_MARKER, TypeName, day_of_folder};
use crate::manifest::to_hex;

const SIDE_FOLDER: &str = "_e3sync/";
const MANIFESTS: &str = "manifests/";
const MANIFEST_ENDING: &str = ".jsonl";
const STAGING: &str = "staging/";
const PROBE: &str = "probe-";
const CLAIM: &str = "claim.json";
const FRAGMENT_ENDING: &str = ".fragment.jsonl";

/// Where everything is in the bucket.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Nothing, or a prefix that ends in `/`.
    prefix: String,
}

impl Layout {
    pub fn new(prefix: &str) -> Self {
        let trimmed = prefix.trim_matches('/');
        Self { prefix: if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") } }
    }

    /// What all keys of the destination begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the keys of a partition's data begin with.
    pub fn partition(&self, partition: &Partition) -> String {
        format!("{}{}", self.prefix, partition.prefix())
    }

    /// The marker of a complete day.
    pub fn success_marker(&self, partition: &Partition) -> String {
        format!("{}{SUCCESS_MARKER}", self.partition(partition))
    }

    fn side(&self, name: &str) -> String {
        format!("{}{SIDE_FOLDER}{name}", self.prefix)
    }

    /// Says whose mirror this is.
    pub fn destination_file(&self) -> String {
        self.side("destination.json")
    }

    /// What the keys of all manifests begin with.
    pub fn manifests(&self) -> String {
        self.side(MANIFESTS)
    }

    pub fn manifest(&self, partition: &Partition) -> String {
        let folder = partition.prefix();
        format!("{}{}{MANIFEST_ENDING}", self.manifests(), folder.trim_end_matches('/'))
    }

    /// The partition of a manifest's key.
    pub fn partition_of_manifest(&self, key: &str) -> Option<Partition> {
        parse_partition(key.strip_prefix(&self.manifests())?.strip_suffix(MANIFEST_ENDING)?)
    }

    /// What is known of the manifests' headers, so that not each of them is read at every run.
    pub fn index(&self) -> String {
        self.side("manifests.index.jsonl")
    }

    /// What the keys of everything that is begun and not ended start with.
    pub fn staging(&self) -> String {
        self.side(STAGING)
    }

    pub fn staging_of(&self, partition: &Partition) -> String {
        format!("{}{}", self.staging(), partition.prefix())
    }

    /// Says which run works on a partition.
    pub fn claim(&self, partition: &Partition) -> String {
        format!("{}{CLAIM}", self.staging_of(partition))
    }

    /// The partition of a claim's key.
    pub fn partition_of_claim(&self, key: &str) -> Option<Partition> {
        parse_partition(key.strip_prefix(&self.staging())?.strip_suffix(CLAIM)?.strip_suffix('/')?)
    }

    /// A record of finished objects; the names of one run's are in the order of writing.
    pub fn fragment(&self, partition: &Partition, run: u64, number: u32) -> String {
        format!("{}{run:016x}-{number:06}{FRAGMENT_ENDING}", self.staging_of(partition))
    }

    pub fn is_fragment(key: &str) -> bool {
        key.ends_with(FRAGMENT_ENDING)
    }

    /// What the keys of the heartbeats of all runs begin with.
    pub fn runs(&self) -> String {
        self.side("locks/")
    }

    /// The heartbeat of a run.
    pub fn run(&self, run: u64) -> String {
        format!("{}{run:016x}.json", self.runs())
    }

    /// What the keys of all runs' reports begin with.
    pub fn reports(&self) -> String {
        self.side("runs/")
    }

    pub fn report(&self, id: &str) -> String {
        format!("{}{id}.json", self.reports())
    }

    /// What verifications have found.
    pub fn verification(&self) -> String {
        self.side("verification.json")
    }

    /// An object that is written, read and deleted again to see that this can be done. It lies among
    /// the heartbeats, where the next run finds it if this one is killed meanwhile.
    pub fn probe(&self, run: u64) -> String {
        format!("{}{PROBE}{run:016x}", self.runs())
    }

    pub fn is_probe(&self, key: &str) -> bool {
        key.strip_prefix(&self.runs()).is_some_and(|name| name.starts_with(PROBE))
    }

    /// Where an object of a replaced set is kept aside. `set` tells the sets of a day apart.
    pub fn superseded(&self, partition: &Partition, set: &str, key: &str) -> String {
        let folder = partition.prefix();
        format!("{}{}.{set}/{key}.superseded", self.side("superseded/"), folder.trim_end_matches('/'))
    }
}

fn parse_partition(path: &str) -> Option<Partition> {
    let (type_folder, date_folder) = path.split_once('/')?;
    let type_name = TypeName::parse(type_folder.strip_prefix("type=")?).ok()?;
    Some(Partition { type_name, date: day_of_folder(date_folder)? })
}

/// What an object that a run stores says of itself: which key it was stored under, by which run, and
/// as the how many-th of its listing. A copy under another key is told from it.
pub(super) fn origin(key: &str, run: u64, index: u64) -> String {
    format!("{}-{run:016x}-{index}", key_hash(key))
}

/// The run that stored an object which says this of itself, if it was this tool and under this key.
pub(super) fn run_of_origin(origin: &str, key: &str) -> Option<u64> {
    let mut parts = origin.split('-');
    let is_of_key = parts.next() == Some(&key_hash(key));
    u64::from_str_radix(parts.next()?, 16).ok().filter(|_| is_of_key)
}

fn key_hash(key: &str) -> String {
    to_hex(&Sha256::digest(key.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() }
    }

    #[test]
    fn a_prefix_is_taken_with_and_without_slashes() {
        for (prefix, expected) in [("", ""), ("/", ""), ("lake", "lake/"), ("/a/b/", "a/b/")] {
            let layout = Layout::new(prefix);
            assert_eq!(layout.prefix(), expected);
            assert_eq!(layout.success_marker(&partition()), format!("{expected}type=events/date=2026-11-20/_SUCCESS"));
        }
    }

    #[test]
    fn partitions_are_found_again_in_keys() {
        let layout = Layout::new("lake");
        let manifest = layout.manifest(&partition());
        assert_eq!(manifest, "lake/_e3sync/manifests/type=events/date=2026-11-20.jsonl");
        assert_eq!(layout.partition_of_manifest(&manifest), Some(partition()));
        assert_eq!(layout.partition_of_claim(&layout.claim(&partition())), Some(partition()));
        assert_eq!(layout.partition_of_claim(&layout.fragment(&partition(), 1, 1)), None);
        assert_eq!(layout.partition_of_manifest("lake/_e3sync/manifests/type=events/x.jsonl"), None);
    }

    #[test]
    fn an_object_is_ours_only_under_its_own_key() {
        let origin = origin("a/b", 7, 3);
        assert_eq!(run_of_origin(&origin, "a/b"), Some(7));
        assert_eq!(run_of_origin(&origin, "a/c"), None);
        assert_eq!(run_of_origin("", "a/b"), None);
    }
}
