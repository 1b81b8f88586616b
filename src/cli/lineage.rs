//! Events for OpenLineage (specification 2-0-2), where `OPENLINEAGE_URL` names a server: which data a
//! run reads, which it writes, and how it ends. A server that does not answer is a warning.

use std::time::Duration;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::net::{self, NetSettings};
use e3sync::transfer::{PartitionOutcome, RunOutcome};
use jiff::Timestamp;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::decide::{environment, proxy};

const SCHEMA_URL: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const STATISTICS_SCHEMA_URL: &str = "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json";
const PRODUCER: &str = concat!("urn:e3sync:", env!("CARGO_PKG_VERSION"));

/// A server has so long to take an event.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Tells a server about one run.
pub struct Lineage {
    client: Client,
    url: Url,
    api_key: Option<SecretString>,
    namespace: String,
    run_id: String,
    inputs: Vec<(String, String)>,
    output: (String, String),
}

impl Lineage {
    /// The server that the environment names; `None` without one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an address that is none, or that would carry the key in the clear.
    pub fn from_environment(sources: &[String], destination: &Address) -> Result<Option<Self>> {
        let is_disabled = environment("OPENLINEAGE_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(url) = environment("OPENLINEAGE_URL").filter(|_| !is_disabled) else { return Ok(None) };
        let api_key = environment("OPENLINEAGE_API_KEY").map(SecretString::from);
        let endpoint = environment("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
        Ok(Some(Self {
            client: net::build_client(&NetSettings { proxy: proxy(), ..NetSettings::default() })?,
            url: address(&url, &endpoint, api_key.is_some())?,
            api_key,
            namespace: environment("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "default".to_owned()),
            run_id: random_uuid(),
            inputs: sources.iter().map(|source| dataset_of_url(source)).collect(),
            output: dataset_of(destination),
        }))
    }

    /// Tells that the run begins.
    pub async fn begin(&self, at: Timestamp) -> Option<String> {
        self.send("START", at, Vec::new()).await
    }

    /// Tells how the run ended.
    pub async fn end(&self, outcome: &RunOutcome, at: Timestamp) -> Option<String> {
        let is_failed = outcome.partitions.iter().any(|partition| partition.error.is_some());
        let event = match outcome.stopped_by.as_ref().map(Error::kind) {
            Some(ErrorKind::Interrupted | ErrorKind::Terminated | ErrorKind::DeadlineReached) => "ABORT",
            Some(_) => "FAIL",
            None if is_failed => "FAIL",
            None => "COMPLETE",
        };
        let mut types: Vec<&str> =
            outcome.partitions.iter().map(|outcome| outcome.partition.type_name.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        let outputs = types.into_iter().map(|name| self.output_dataset(name, &outcome.partitions)).collect();
        self.send(event, at, outputs).await
    }

    fn output_dataset(&self, type_name: &str, partitions: &[PartitionOutcome]) -> Value {
        let headers = partitions.iter().filter(|outcome| outcome.partition.type_name.as_str() == type_name);
        let headers: Vec<_> = headers.filter_map(|outcome| outcome.published.as_ref()).collect();
        let rows: Option<u64> = headers.iter().map(|header| header.rows).sum();
        json!({
            "namespace": self.output.0,
            "name": below(&self.output.1, type_name),
            "outputFacets": { "outputStatistics": {
                "_producer": PRODUCER, "_schemaURL": STATISTICS_SCHEMA_URL,
                "rowCount": rows, "size": headers.iter().map(|header| header.bytes).sum::<u64>(),
                "fileCount": headers.iter().map(|header| header.objects).sum::<u64>(),
            } },
        })
    }

    /// Sends an event; says what went wrong.
    async fn send(&self, event: &str, at: Timestamp, outputs: Vec<Value>) -> Option<String> {
        let inputs: Vec<Value> =
            self.inputs.iter().map(|(namespace, name)| json!({ "namespace": namespace, "name": name })).collect();
        let body = json!({
            "eventType": event, "eventTime": at.to_string(), "run": { "runId": self.run_id },
            "job": { "namespace": self.namespace, "name": "e3sync.sync" },
            "inputs": inputs, "outputs": outputs, "producer": PRODUCER, "schemaURL": SCHEMA_URL,
        });
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = &self.api_key {
            request = request.header("authorization", format!("Bearer {}", key.expose_secret()));
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("OpenLineage's server refused an event ({})", answer.status().as_u16())),
            Err(cause) => Some(format!("OpenLineage's server took no event: {}", cause.without_url())),
        }
    }
}

fn address(url: &str, endpoint: &str, has_key: bool) -> Result<Url> {
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Usage, format!("OPENLINEAGE_URL {reason}"))
            .with_hint("write https://HOST; plain HTTP only without OPENLINEAGE_API_KEY, or to this machine")
    };
    let text = format!("{}/{}", url.trim_end_matches('/'), endpoint.trim_start_matches('/'));
    let url = Url::parse(&text).map_err(|_| refuse("is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if !has_key || net::is_loopback(&url) => Ok(url),
        _ => Err(refuse("would carry the key in the clear, or is no web address")),
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
    match destination {
        Address::Directory(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            ("file".to_owned(), path.display().to_string())
        }
        Address::S3 { .. } | Address::Gcs { .. } => dataset_of_url(&destination.to_string()),
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
        assert!(address("nowhere", "api/v1/lineage", false).is_err());
    }
}
