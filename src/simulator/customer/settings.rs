//! What a customer's bucket is and how its server behaves.

use super::super::seed::derive_url_safe;
use super::super::settings::{AccessKey, PAGE_KEYS_MAX};
use super::quirk::Quirk;
use jiff::Timestamp;
use std::net::{Ipv4Addr, SocketAddr};

/// The least bytes of a part that is not the last one, at both clouds.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// The most bytes that one copy request takes, at S3.
const COPY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Everything that decides a customer's bucket.
#[derive(Debug, Clone)]
pub struct CustomerSettings {
    /// Decides ids.
    pub seed: u64,
    /// Where to listen; only a loopback address is accepted, port 0 takes any free one.
    pub listen: SocketAddr,
    /// The wall time at the start of the server.
    pub start: Timestamp,
    /// The bucket's name, in both clouds.
    pub bucket: String,
    /// The region that signatures must name.
    pub region: String,
    /// The key that S3 requests are signed with.
    pub access_key: AccessKey,
    /// The session token that belongs to the key, if any.
    pub session_token: Option<String>,
    /// The access token that Google requests carry.
    pub bearer: String,
    /// The most keys in one page of a listing, 1 to [`PAGE_KEYS_MAX`].
    pub page_keys_max: usize,
    /// The least bytes of a part that is not the last one.
    pub part_bytes_min: u64,
    /// The most bytes that one copy request takes.
    pub copy_bytes_max: u64,
    /// Old versions are kept, and deletes leave markers.
    pub is_versioned: bool,
    /// Objects are locked: writes must carry a checksum or a `Content-MD5`, and versions are kept.
    pub is_object_locked: bool,
    /// A retention policy, at S3 the default of the lock: number of seconds for which nothing can be replaced or deleted, which outlasts the simulation.
    pub retention_seconds: Option<u64>,
    /// Google's soft delete: number of seconds for which a deleted object could be restored. It is only reported.
    pub soft_delete_seconds: Option<u64>,
    /// The name of the key that the bucket encrypts new objects with. It is only reported.
    pub encryption_key: Option<String>,
    /// Habits of servers that are not S3.
    pub quirks: Vec<Quirk>,
    /// Conditions on writes are honoured; false for a server that does not know them and writes regardless.
    pub honours_conditions: bool,
    /// The bucket has a lifecycle rule that aborts unfinished uploads. It is only told, never applied by itself.
    pub lifecycle_aborts_uploads: bool,
}

impl CustomerSettings {
    /// An empty bucket of the name in `eu-central-1` that behaves as the clouds do. `start` is the present.
    pub fn new(bucket: &str, start: Timestamp) -> Self {
        let seed = 1;
        let access_key = AccessKey {
            access_key_id: "AKIACUSTOMERBUCKET00".to_owned(),
            secret_access_key: derive_url_safe(seed, &["customer secret"], 40),
        };
        Self {
            seed,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            start,
            bucket: bucket.to_owned(),
            region: "eu-central-1".to_owned(),
            access_key,
            session_token: None,
            bearer: format!("ya29.{}", derive_url_safe(seed, &["customer bearer"], 43)),
            page_keys_max: PAGE_KEYS_MAX,
            part_bytes_min: PART_BYTES_MIN,
            copy_bytes_max: COPY_BYTES_MAX,
            is_versioned: false,
            is_object_locked: false,
            retention_seconds: None,
            soft_delete_seconds: None,
            encryption_key: None,
            quirks: Vec::new(),
            honours_conditions: true,
            lifecycle_aborts_uploads: false,
        }
    }

    /// Says what is wrong with the settings, if anything.
    ///
    /// # Errors
    ///
    /// A sentence for the user: a number out of its range, a name that no bucket has, or an address that is not
    /// loopback.
    pub fn check(&self) -> Result<(), String> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let named = (3..=63).contains(&self.bucket.len()) && self.bucket.bytes().all(is_plain);
        // Google's JSON interface has these paths.
        let reserved = ["storage", "download"].contains(&self.bucket.as_str());
        let rules = [
            (named && !reserved, "a bucket's name is 3 to 63 lower-case letters, digits, dots and hyphens"),
            ((1..=PAGE_KEYS_MAX).contains(&self.page_keys_max), "a page holds 1 to 1000 keys"),
            (self.listen.ip().is_loopback(), "the customer's bucket listens on loopback only"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, broken)) => Err(broken.to_owned()),
            None => Ok(()),
        }
    }

    /// True if replaced and deleted versions are kept: a lock works only on versions.
    pub(super) fn keeps_versions(&self) -> bool {
        self.is_versioned || self.is_object_locked
    }
}
