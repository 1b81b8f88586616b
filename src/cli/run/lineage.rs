//! Events for OpenLineage (specification 2-0-2), where `OPENLINEAGE_URL` names a server: which data a
//! run reads, which it writes, and how it ends. Whatever is wrong with the server is a warning: it
//! is told about the data, and must not cost them.

use std::time::Duration;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::net::{self, JsonPoster};
use e3sync::sync;
use e3sync::transfer::{PartitionOutcome, RunOutcome};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use crate::cli::decide::plain_address;
use crate::cli::environment;
use crate::cli::network;

const SCHEMA_URL: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const STATISTICS_SCHEMA_URL: &str = "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json";
const PRODUCER: &str = concat!("urn:e3sync:", env!("CARGO_PKG_VERSION"));

/// Timeout for sending an event.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for sending an event once the run is to stop: whoever stops it waits for its end.
const TIMEOUT_AFTER_STOP: Duration = Duration::from_secs(1);

/// A value ends the run early.
type Stop = watch::Receiver<Option<ErrorKind>>;

/// Tells a server about one run.
pub struct Lineage {
    poster: JsonPoster,
    namespace: String,
    run_id: String,
    inputs: Vec<(String, String)>,
    destination: Address,
    stop: Stop,
}

impl Lineage {
    /// The server that the environment names; `None` without one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an address that is none, or that would carry a secret in the clear.
    pub fn from_environment(sources: &[String], destination: &Address, stop: &Stop) -> Result<Option<Self>> {
        let is_disabled = environment::variable("OPENLINEAGE_DISABLED")
            .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
        let Some(url) = environment::variable("OPENLINEAGE_URL").filter(|_| !is_disabled) else { return Ok(None) };
        let api_key = environment::variable("OPENLINEAGE_API_KEY").map(SecretString::from);
        let endpoint = environment::variable("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
        Ok(Some(Self {
            poster: JsonPoster::new(
                &network::settings(),
                address(&url, &endpoint, api_key.is_some())?,
                api_key,
                TIMEOUT,
            )?,
            namespace: environment::variable("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "default".to_owned()),
            run_id: random_uuid(),
            inputs: sources.iter().map(|source| dataset_of_url(source)).collect(),
            destination: destination.clone(),
            stop: stop.clone(),
        }))
    }

    /// The run's id there, a UUID.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Tells that the run begins.
    pub async fn begin(&self, at: Timestamp) -> Option<String> {
        self.send("START", at, Vec::new()).await
    }

    /// Tells how the run ended.
    pub async fn end(&self, outcome: &RunOutcome, at: Timestamp) -> Option<String> {
        self.send(event_type(outcome), at, self.outputs(&outcome.partitions)).await
    }

    /// The types of which something was published.
    fn outputs(&self, partitions: &[PartitionOutcome]) -> Vec<Value> {
        let (namespace, name) = dataset_of(&self.destination);
        let published = partitions.iter().filter(|outcome| outcome.published.is_some());
        let mut types: Vec<&str> = published.map(|outcome| outcome.partition.type_name.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        let dataset = |type_name| {
            json!({
                "namespace": namespace, "name": below(&name, type_name),
                "outputFacets": { "outputStatistics": statistics(type_name, partitions) },
            })
        };
        types.into_iter().map(dataset).collect()
    }

    /// Sends an event; says what went wrong.
    async fn send(&self, event_type: &str, at: Timestamp, outputs: Vec<Value>) -> Option<String> {
        let inputs: Vec<Value> =
            self.inputs.iter().map(|(namespace, name)| json!({ "namespace": namespace, "name": name })).collect();
        let body = json!({
            "eventType": event_type, "eventTime": at.to_string(), "run": { "runId": self.run_id },
            "job": { "namespace": self.namespace, "name": "e3sync.sync" },
            "inputs": inputs, "outputs": outputs, "producer": PRODUCER, "schemaURL": SCHEMA_URL,
        });
        let answer = tokio::select! {
            answer = self.poster.post(&body) => answer,
            () = self.stopped_long_enough() => {
                return Some(format!("OpenLineage's server took no event within {TIMEOUT_AFTER_STOP:?} of the stop"));
            }
        };
        match answer {
            Ok(200..300) => None,
            Ok(status) => Some(format!("OpenLineage's server refused an event ({status})")),
            Err(cause) => Some(format!("OpenLineage's server took no event: {cause}")),
        }
    }

    /// Ends when the run is to stop and the server has had its last moment.
    async fn stopped_long_enough(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(Option::is_some).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(TIMEOUT_AFTER_STOP).await;
    }
}

/// How a run ended. Days that the source has not completed yet are no failure; those that are held
/// back or lack objects are.
fn event_type(outcome: &RunOutcome) -> &'static str {
    let stopped_by = outcome.stopped_by.as_ref().map(Error::kind);
    match (stopped_by, sync::exit_code(outcome)) {
        (Some(ErrorKind::Interrupted | ErrorKind::Terminated | ErrorKind::DeadlineReached), _) => "ABORT",
        (_, ExitCode::Success | ExitCode::NotReady) => "COMPLETE",
        _ => "FAIL",
    }
}

/// The statistics of what was published of a type. Rows that are unknown have no place in them.
fn statistics(type_name: &str, partitions: &[PartitionOutcome]) -> Value {
    let of_type = partitions.iter().filter(|outcome| outcome.partition.type_name.as_str() == type_name);
    let headers: Vec<_> = of_type.filter_map(|outcome| outcome.published.as_ref()).collect();
    let mut statistics = json!({
        "_producer": PRODUCER, "_schemaURL": STATISTICS_SCHEMA_URL,
        "size": headers.iter().map(|header| header.bytes).sum::<u64>(),
        "fileCount": headers.iter().map(|header| header.objects).sum::<u64>(),
    });
    if let Some(rows) = headers.iter().map(|header| header.rows).sum::<Option<u64>>() {
        statistics["rowCount"] = rows.into();
    }
    statistics
}

fn address(url: &str, endpoint: &str, has_key: bool) -> Result<Url> {
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Usage, format!("OPENLINEAGE_URL {reason}"))
            .with_hint("write https://HOST; plain HTTP only without OPENLINEAGE_API_KEY, or to this machine")
    };
    let base = Url::parse(url).map_err(|_| refuse("is not a URL"))?;
    // The HTTP client would send a password along, to any host.
    if !base.username().is_empty() || base.password().is_some() {
        return Err(refuse("has a user name or a password; a key belongs into OPENLINEAGE_API_KEY"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refuse("has more than a scheme, a host and a path"));
    }
    let text = format!("{}/{}", url.trim_end_matches('/'), endpoint.trim_start_matches('/'));
    let url = Url::parse(&text).map_err(|_| refuse("is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if !has_key || net::is_loopback(&url) => Ok(url),
        "http" => Err(refuse("would carry the key in the clear")),
        _ => Err(refuse("is no web address")),
    }
}

/// A dataset's namespace and name, by OpenLineage's naming: the bucket, and the path in it.
fn dataset_of_url(url: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("file", url));
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    (format!("{scheme}://{bucket}"), if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

fn dataset_of(destination: &Address) -> (String, String) {
    let plain = plain_address(destination);
    match destination {
        Address::Directory(_) => ("file".to_owned(), plain),
        Address::S3 { .. } | Address::Gcs { .. } => dataset_of_url(&plain),
    }
}

fn below(name: &str, type_name: &str) -> String {
    format!("{}/type={type_name}", name.trim_end_matches('/')).trim_start_matches("//").to_owned()
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let [a, b, c, d] = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20]];
    format!("{a}-{b}-{c}-{d}-{}", &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uuid_says_that_it_is_one() {
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }

    #[test]
    fn datasets_are_named_by_bucket_and_path() {
        assert_eq!(dataset_of_url("s3://lake/a/b/"), ("s3://lake".into(), "a/b".into()));
        assert_eq!(dataset_of_url("gs://lake"), ("gs://lake".into(), "/".into()));
        assert_eq!(below("/", "events"), "/type=events");
        assert_eq!(below("a/b", "events"), "a/b/type=events");
    }

    #[test]
    fn a_key_is_not_sent_in_the_clear() {
        assert!(address("http://marquez:5000", "api/v1/lineage", false).is_ok());
        assert!(address("http://marquez:5000", "api/v1/lineage", true).is_err());
        assert!(address("http://127.0.0.1:5000", "api/v1/lineage", true).is_ok());
        assert!(address("https://lineage.example.com/", "/api/v1/lineage", true).is_ok());
        for bad in ["nowhere", "ftp://127.0.0.1", "http://bob@h", "https://:pw@h", "http://h/?token=abc", "http://h/#a"]
        {
            assert!(address(bad, "api/v1/lineage", false).is_err(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_keeps_a_stopped_run_for_a_second() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (stopped_by, seconds) in [(None, TIMEOUT), (Some(ErrorKind::Terminated), TIMEOUT_AFTER_STOP)] {
            let (_sender, stop) = watch::channel(stopped_by);
            let lineage = Lineage {
                poster: JsonPoster::new(
                    &net::NetSettings::default(),
                    format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap(),
                    None,
                    TIMEOUT,
                )
                .unwrap(),
                namespace: "default".to_owned(),
                run_id: random_uuid(),
                inputs: Vec::new(),
                destination: Address::Directory("mirror".into()),
                stop,
            };
            let began = tokio::time::Instant::now();
            assert!(lineage.begin(Timestamp::UNIX_EPOCH).await.is_some());
            assert_eq!(began.elapsed().as_secs(), seconds.as_secs());
        }
    }
}
