//! Asks a bucket for its retention, soft delete and versions.

use std::time::Duration;

use serde::Deserialize;

use super::GcsStore;
use super::call::Operation;
use crate::destination::bucket::{Encryption, Keeping, Policies};
use crate::error::Result;
use crate::export::printable;

/// What is asked for, by the names of Google's JSON API. Its XML API does not tell soft delete.
const FIELDS: &str = "fields=retentionPolicy,softDeletePolicy,versioning,defaultEventBasedHold,encryption";

const HIDDEN: Policies = Policies::Hidden("storage.buckets.get");

/// The answer. Google writes numbers of 64 bits as texts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BucketResource {
    retention_policy: Option<RetentionPolicy>,
    soft_delete_policy: Option<SoftDeletePolicy>,
    versioning: Option<Versioning>,
    #[serde(default)]
    default_event_based_hold: bool,
    encryption: Option<DefaultEncryption>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DefaultEncryption {
    default_kms_key_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPolicy {
    retention_period: String,
    #[serde(default)]
    is_locked: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SoftDeletePolicy {
    retention_duration_seconds: String,
}

#[derive(Deserialize)]
struct Versioning {
    #[serde(default)]
    enabled: bool,
}

impl GcsStore {
    /// What the bucket tells of its policies.
    pub(super) async fn ask_policies(&self) -> Result<Policies> {
        let mut url = self.json_url.clone();
        url.set_query(Some(FIELDS));
        match self.run(Operation::Policies, "", None, || self.fetch(&url)).await {
            Ok((answer, _)) => Ok(read(&answer).map_or(HIDDEN, Policies::Told)),
            // An endpoint of one's own may know the XML API only.
            Err(failure) if matches!(failure.status, Some(400..=499)) && failure.status != Some(401) => Ok(HIDDEN),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn read(answer: &[u8]) -> Option<Keeping> {
    let answer: BucketResource = serde_json::from_slice(answer).ok()?;
    let time = |seconds: String| seconds.parse().map(Duration::from_secs).ok();
    let retention = answer.retention_policy;
    Some(Keeping {
        is_retention_locked: retention.as_ref().is_some_and(|policy| policy.is_locked),
        retention: match retention {
            Some(policy) => Some(time(policy.retention_period)?),
            None => None,
        },
        holds_new_objects: answer.default_event_based_hold,
        soft_delete: match answer.soft_delete_policy {
            // That it is switched off is told as a time of no length.
            Some(policy) => Some(time(policy.retention_duration_seconds)?).filter(|time| !time.is_zero()),
            None => None,
        },
        keeps_versions: answer.versioning.is_some_and(|versioning| versioning.enabled),
        encryption: match answer.encryption.and_then(|encryption| encryption.default_kms_key_name) {
            Some(key) => Encryption::By(format!("the key {}", printable(&key))),
            // Google encrypts everything, and does not say so.
            None => Encryption::By("Google's own keys".to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_are_understood() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let all = br#"{"retentionPolicy":{"retentionPeriod":"604800","effectiveTime":"2026-11-20T00:00:00Z","isLocked":true},
            "softDeletePolicy":{"retentionDurationSeconds":"2592000"},"versioning":{"enabled":true},"defaultEventBasedHold":true,
            "encryption":{"defaultKmsKeyName":"projects/p/locations/eu/keyRings/r/cryptoKeys/k"}}"#;
        let expected = Keeping {
            retention: days(7),
            is_retention_locked: true,
            holds_new_objects: true,
            soft_delete: days(30),
            keeps_versions: true,
            encryption: Encryption::By("the key projects/p/locations/eu/keyRings/r/cryptoKeys/k".to_owned()),
        };
        assert_eq!(read(all), Some(expected));
        let usual = Keeping { encryption: Encryption::By("Google's own keys".to_owned()), ..Keeping::default() };
        assert_eq!(read(b"{}"), Some(usual.clone()));
        let off = br#"{"softDeletePolicy":{"retentionDurationSeconds":"0"},"versioning":{"enabled":false}}"#;
        assert_eq!(read(off), Some(usual));
        for other in [&b"<html>"[..], b"[]", br#"{"retentionPolicy":{"retentionPeriod":"long"}}"#, b""] {
            assert_eq!(read(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
