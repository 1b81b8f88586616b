//! Transfers of objects by sources and destinations that fail on purpose.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::parts::Parts;
use super::*;
use crate::destination::{Inventory, Position, Publication, PublishTerms};
use crate::export::{AccountId, Checksum, ChecksumAlgorithm, ExportLocation, TypeName};
use crate::plan::Listing;
use crate::progress::Silent;
use crate::source::{Page, PageToken, Source, TypeDays};

const KIB: usize = 1024;

/// Serves one content for every object, in small chunks with pauses, and keeps count.
#[derive(Default)]
struct FakeSource {
    content: Vec<u8>,
    /// Number of first answers that have a wrong byte.
    flipped: usize,
    /// Whether an answer is the slower the earlier it begins.
    reorders: bool,
    requests: Mutex<Vec<ReadRequest>>,
    whole: Arc<Answers>,
    ranges: Arc<Answers>,
}

/// The answers of one kind.
#[derive(Default)]
struct Answers {
    open: AtomicUsize,
    open_most: AtomicUsize,
    /// Those whose end was seen.
    ended: AtomicUsize,
}

/// Counts as an open answer as long as it lives.
struct OpenAnswer(Arc<Answers>);

impl OpenAnswer {
    fn of(answers: &Arc<Answers>) -> Self {
        let open = answers.open.fetch_add(1, Ordering::SeqCst) + 1;
        answers.open_most.fetch_max(open, Ordering::SeqCst);
        Self(answers.clone())
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn open(&self, _: &Partition, _: &Object, request: ReadRequest) -> Result<OpenObject> {
        let request_begin = request.range.as_ref().map_or(0, |range| range.start);
        let range =
            request.range.clone().map_or(0..self.content.len(), |range| range.start as usize..range.end as usize);
        let mut content = self.content[range].to_vec();
        let answers = if request.range.is_none() { &self.whole } else { &self.ranges };
        {
            let mut requests = self.requests.lock().unwrap();
            content[0] ^= u8::from(requests.len() < self.flipped);
            requests.push(request);
        }
        let chunks: std::collections::VecDeque<_> = content.chunks(16 * KIB).map(Bytes::copy_from_slice).collect();
        let pause = if self.reorders { 1 + 40_000 / (1 + request_begin / 1024) % 97 } else { 1 };
        let body = stream::unfold((chunks, OpenAnswer::of(answers)), move |(mut chunks, answer)| async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let Some(chunk) = chunks.pop_front() else {
                answer.0.ended.fetch_add(1, Ordering::SeqCst);
                return None;
            };
            Some((Ok(chunk), (chunks, answer)))
        });
        let algorithm = ChecksumAlgorithm::Sha256;
        let checksums = Checksums::default().with(algorithm, Checksum::new(algorithm, &Sha256::digest(&self.content)));
        Ok(OpenObject { checksums, body: body.boxed() })
    }

    async fn location(&self) -> Result<ExportLocation> {
        unreachable!("no test asks for it")
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        unreachable!("no test asks for it")
    }

    async fn list_days(&self, _: &TypeName) -> Result<TypeDays> {
        unreachable!("no test asks for it")
    }

    async fn list_page(&self, _: &Partition, _: &str, _: Option<&PageToken>) -> Result<Page> {
        unreachable!("no test asks for it")
    }

    async fn keep_fresh(&self) -> Error {
        unreachable!("no test asks for it")
    }

    fn credentials_remaining(&self) -> Option<Duration> {
        None
    }
}

/// Takes everything; has the first bytes of each object already, and takes its time to hash them.
#[derive(Default)]
struct FakeClaim {
    prefix: Vec<u8>,
    hashing: Duration,
    /// The answers that were open when the hashing ended.
    open_after_hashing: AtomicUsize,
    answers: Arc<Answers>,
    lock: Arc<tokio::sync::Mutex<()>>,
    /// What the last writer has got.
    bytes: Arc<Mutex<Vec<u8>>>,
}

#[async_trait]
impl Claim for FakeClaim {
    async fn open(
        &self,
        _: &Work,
        mut hasher: ObjectHasher,
        _: Option<u64>,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher)> {
        std::thread::sleep(self.hashing);
        self.open_after_hashing.store(self.answers.open.load(Ordering::SeqCst), Ordering::SeqCst);
        hasher.update(&self.prefix);
        let bytes = self.bytes.clone();
        bytes.lock().unwrap().splice(.., self.prefix.iter().copied());
        Ok((Box::new(FakeWriter { lock: self.lock.clone(), bytes }), hasher))
    }

    async fn prepare(&self, _: &mut Listing, _: &str) -> Result<Inventory> {
        unreachable!("no test asks for it")
    }

    async fn work(&self, _: Position, _: usize) -> Result<Option<(Vec<Work>, Position)>> {
        unreachable!("no test asks for it")
    }

    async fn recheck(&self, _: &Work) -> Result<bool> {
        unreachable!("no test asks for it")
    }

    async fn forget(&self, _: &Work) -> Result<()> {
        Ok(())
    }

    async fn publish(&self, _: PublishTerms) -> Result<Publication> {
        unreachable!("no test asks for it")
    }

    async fn discard(&self) -> Result<()> {
        unreachable!("no test asks for it")
    }

    async fn release(&self) -> Result<()> {
        Ok(())
    }
}

/// Needs one lock for whatever it does, for some time.
struct FakeWriter {
    lock: Arc<tokio::sync::Mutex<()>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl FakeWriter {
    fn keep(&self, offset: usize, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap();
        let length = bytes.len().max(offset + chunk.len());
        bytes.resize(length, 0);
        bytes[offset..offset + chunk.len()].copy_from_slice(chunk);
    }

    async fn take_time(&self) -> Result<()> {
        let _locked = self.lock.lock().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

#[async_trait]
impl ObjectWriter for FakeWriter {
    async fn write(&self, offset: u64, chunk: &Bytes) -> Result<()> {
        self.keep(offset as usize, chunk);
        self.take_time().await
    }

    fn read_back(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let offset = offset as usize;
        buffer.copy_from_slice(&self.bytes.lock().unwrap()[offset..offset + buffer.len()]);
        Ok(())
    }

    async fn end_part(&self, _: Range<u64>) -> Result<()> {
        self.take_time().await
    }

    async fn checkpoint(&self, _: &ObjectHasher) -> Result<()> {
        self.take_time().await
    }

    async fn finish(&self, _: &VerifiedContent, _: &Checksums) -> Result<()> {
        Ok(())
    }
}

fn object(key: &str, size_bytes: usize) -> Object {
    serde_json::from_value(serde_json::json!({ "key": key, "size_bytes": size_bytes })).unwrap()
}

/// Transfers of objects with the source's content. Objects from 128 KiB on come in ranges of
/// 64 KiB; the memory is enough for one of them at a time.
fn transfers(count: u64, source: &Arc<FakeSource>, claim: &Arc<FakeClaim>) -> Vec<ObjectTransfer> {
    transfers_into(false, count, source, claim)
}

/// The same to a destination that holds objects in memory, or does not.
fn transfers_into(
    buffers_objects: bool,
    count: u64,
    source: &Arc<FakeSource>,
    claim: &Arc<FakeClaim>,
) -> Vec<ObjectTransfer> {
    let settings = TransferSettings {
        part_size_bytes: 64 * KIB as u64,
        ranged_from_bytes: 128 * KIB as u64,
        memory_bytes_max: 256 * KIB as u64,
        ..TransferSettings::default()
    };
    let common = Arc::new(Common::new(settings, Arc::new(Silent), Arc::new(Counters::default()), buffers_objects));
    let location = ExportLocation::of_account("s3", "bucket", AccountId::parse("1").unwrap());
    let cloud = Arc::new(Cloud { location, source: source.clone() });
    let partition =
        Arc::new(Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() });
    let transfer = |index| ObjectTransfer {
        common: common.clone(),
        cloud: cloud.clone(),
        claim: claim.clone(),
        partition: partition.clone(),
        work: Work { index, object: object("a", source.content.len()), is_staged: false },
    };
    (0..count).map(transfer).collect()
}

fn source_of(size_bytes: usize) -> FakeSource {
    FakeSource { content: (0..size_bytes).map(|place| (place % 251) as u8).collect(), ..FakeSource::default() }
}

async fn run_all(transfers: Vec<ObjectTransfer>) {
    for arrival in futures::future::join_all(transfers.into_iter().map(ObjectTransfer::run)).await {
        assert!(matches!(arrival, Ok(Arrival::Transferred(_))));
    }
}

/// Parts come at random speeds: whichever order they end in, the hash is the source's, and so are the bytes.
#[tokio::test(start_paused = true)]
async fn parts_in_any_order_give_the_bytes_and_their_hash() {
    for buffers_objects in [false, true] {
        for size_bytes in [128 * KIB, 300 * KIB, 320 * KIB, 1000 * KIB + 1] {
            let source = Arc::new(FakeSource { reorders: true, ..source_of(size_bytes) });
            let claim = Arc::new(FakeClaim::default());
            // The checksum that the source offers is compared; a wrong hash would fail the transfer.
            run_all(transfers_into(buffers_objects, 1, &source, &claim)).await;
            assert!(*claim.bytes.lock().unwrap() == source.content, "{buffers_objects} {size_bytes}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_fetched_and_not_hashed_twice() {
    let source = Arc::new(FakeSource { reorders: true, ..source_of(900 * KIB) });
    let claim = Arc::new(FakeClaim { prefix: source.content[..70 * KIB].to_vec(), ..FakeClaim::default() });
    run_all(transfers(1, &source, &claim)).await;
    assert!(*claim.bytes.lock().unwrap() == source.content);
}

#[test]
fn parts_cover_a_range_once() {
    let parts: Vec<_> = Parts { at: 3, end: 10, part_size_bytes: 3 }.collect();
    assert_eq!(parts, [3..6, 6..9, 9..10]);
    assert_eq!(Parts { at: 4, end: 4, part_size_bytes: 3 }.count(), 0);
}

#[tokio::test]
async fn large_objects_that_wait_for_memory_hold_no_answer_open() {
    let source = Arc::new(source_of(300 * KIB));
    run_all(transfers(10, &source, &Arc::default())).await;
    assert_eq!(source.whole.open_most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn after_wrong_bytes_every_request_leaves_the_pool() {
    let source = Arc::new(FakeSource { flipped: 1, ..source_of(300 * KIB) });
    run_all(transfers(1, &source, &Arc::default())).await;
    let requests = source.requests.lock().unwrap();
    let (first, second) = requests.split_at(requests.len() / 2);
    assert_eq!(first.len(), 5, "the whole object, and four ranges behind the first");
    assert!(first.iter().all(|request| !request.on_new_connection));
    assert!(second.iter().all(|request| request.on_new_connection), "{second:?}");
}

#[tokio::test]
async fn bodies_are_read_to_their_end_so_that_connections_serve_again() {
    let source = Arc::new(source_of(100 * KIB));
    run_all(transfers(10, &source, &Arc::default())).await;
    assert_eq!(source.whole.ended.load(Ordering::SeqCst), 10);

    let source = Arc::new(source_of(300 * KIB));
    run_all(transfers(1, &source, &Arc::default())).await;
    assert_eq!(source.ranges.ended.load(Ordering::SeqCst), 4);
    assert_eq!(source.whole.ended.load(Ordering::SeqCst), 0, "the rest of the whole object is not fetched twice");
}

#[tokio::test(start_paused = true)]
async fn parts_and_checkpoints_that_need_one_lock_do_not_wait_for_each_other() {
    let source = Arc::new(source_of(900 * KIB));
    for buffers_objects in [false, true] {
        let transfers = transfers_into(buffers_objects, 3, &source, &Arc::default());
        let ended = tokio::time::timeout(Duration::from_secs(60), run_all(transfers)).await;
        assert!(ended.is_ok(), "the transfers wait for ever");
    }
}

#[tokio::test]
async fn long_hashing_keeps_no_thread_of_the_transfers_and_no_answer() {
    let source = Arc::new(source_of(300 * KIB));
    let claim = FakeClaim {
        prefix: source.content[..70 * KIB].to_vec(),
        hashing: BODY_IDLE_MAX + Duration::from_millis(500),
        answers: source.whole.clone(),
        ..FakeClaim::default()
    };
    let claim = Arc::new(claim);
    let ticks = async {
        for _ in 0.. {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if source.requests.lock().unwrap().len() == 1 && claim.answers.open.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    };
    // The test's only thread sees the answer go while the hashing goes on.
    let (seen, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), ticks), async {
        run_all(transfers(1, &source, &claim)).await;
    });
    assert!(seen.is_ok(), "the answer was dropped before anything else was asked for");
    assert_eq!(claim.open_after_hashing.load(Ordering::SeqCst), 0);
    let requests = source.requests.lock().unwrap();
    assert_eq!(requests[1].range, Some(70 * KIB as u64..134 * KIB as u64), "it goes on behind what is there");
}

#[test]
fn only_of_parquet_files_the_end_is_kept() {
    let hasher = || ObjectHasher::for_checksums(&Checksums::default());
    assert!(Received::new(hasher(), &object("a/part-0.parquet", 10)).tail.is_some());
    assert!(Received::new(hasher(), &object("a/_SUCCESS", 10)).tail.is_none());
}
