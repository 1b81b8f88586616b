//! A whole fake export on loopback: the Authentication API and the protocols of S3 and of Google Cloud Storage over one
//! made-up account.
//!
//! It enforces what no general test server does: signatures and bearer tokens, the expiry of credentials in the middle
//! of anything, the restriction to one account's folder, and every fault that [`Fault`] names. The same [`Settings`]
//! give the same bytes, so a test can compare what arrived with [`Simulator::manifest`].
//!
//! One port serves the exchange below `/v2/`, Google's JSON interface below `/storage/v1/` and `/download/storage/v1/`,
//! and the buckets of both clouds in path style below their names.

mod account;
mod call;
mod checksum;
mod clock;
mod credentials;
mod customer;
mod data;
mod delivery;
mod exchange;
mod expiration;
mod faults;
mod front;
mod gcs;
mod listing;
mod mutations;
mod names;
mod oauth;
mod object;
mod observation;
mod parquet;
mod population;
mod range;
mod reply;
mod s3;
mod seed;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod uri;
mod wire;
mod xml;

pub use account::{Account, Bucket, Cloud};
pub use checksum::Checksum;
pub use customer::{
    BucketAction, BucketFault, BucketOperation, BucketRequest, BucketRequests, CustomerBucket, CustomerSettings, Gate,
    InjectedBucketFault, Quirk, StoredCopy, StoredUpload, StoredVersion, When,
};
pub use expiration::ExpirationForm;
pub use faults::{Action, Depth, FAULT_GRAMMAR, Fault, Injected, ParseFaultError, Refusal, Target};
pub use object::Object;
pub use observation::{LOG_REQUESTS_MAX, Logged, Operation, Requests};
pub use settings::{AccessKey, Content, PAGE_KEYS_MAX, S3Path, Settings};

use jiff::Timestamp;
use jiff::civil::Date;
use server::Server;
use service::Service;
use std::io;
use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

/// One object as a mirror of it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The full key in the bucket.
    pub key: String,
    /// The number of bytes.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256_hex: String,
}

/// A running fake export. Dropping it stops it without waiting; [`Simulator::stop`] waits.
pub struct Simulator {
    service: Arc<Service>,
    server: Server,
}

impl Simulator {
    /// Makes the export and begins to serve it on the current runtime.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for settings that [`Settings::check`] refuses, or the error of the listening socket.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        settings.check().map_err(|broken| io::Error::new(io::ErrorKind::InvalidInput, broken))?;
        let service = Arc::new(Service::new(settings));
        let server = Server::start(service.settings.listen, service.clone()).await?;
        Ok(Self { service, server })
    }

    /// `http://ADDRESS:PORT`, the base of the exchange and of the endpoints of both clouds.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The token that the exchange accepts; empty after it was revoked.
    pub fn token(&self) -> String {
        self.service.issuer.token().unwrap_or_default()
    }

    /// Accepts only this token from now on, as when an OAuth token is renewed.
    pub fn set_token(&self, token: &str) {
        self.service.issuer.set_token(Some(token.to_owned()));
    }

    /// Refuses the token from now on. Credentials issued before keep their life.
    pub fn revoke_token(&self) {
        self.service.issuer.set_token(None);
    }

    /// The id of the one OAuth application, and its secret.
    pub fn oauth_application(&self) -> (&'static str, String) {
        (oauth::CLIENT_ID, self.service.oauth.client_secret())
    }

    /// A refresh token of the OAuth server, as a login gives it.
    pub fn issue_refresh_token(&self) -> String {
        self.service.oauth.issue_refresh_token()
    }

    /// Ends every OAuth grant, as when the user takes the permission back. Access tokens keep their life.
    pub fn revoke_oauth(&self) {
        self.service.oauth.revoke();
    }

    /// Ends the life of every OAuth access token, whatever was told.
    pub fn expire_access_tokens(&self) {
        self.service.oauth.expire_access_tokens();
    }

    /// Ends the life of all credentials issued so far, whatever expiration was told.
    pub fn expire_credentials(&self) {
        self.service.issuer.expire_all();
    }

    /// The settings of the start.
    pub fn settings(&self) -> &Settings {
        &self.service.settings
    }

    /// What the server takes for the present, clock skew included.
    pub fn now(&self) -> Timestamp {
        self.service.clock.now()
    }

    /// The account, to look at. Do not hold it across an await.
    pub fn account(&self) -> RwLockReadGuard<'_, Account> {
        self.service.account.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account, to change. Requests wait while it is held; do not hold it across an await.
    pub fn change(&self) -> RwLockWriteGuard<'_, Account> {
        self.service.account.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects that a day has at the moment of the call, `_SUCCESS` included, by ascending key.
    ///
    /// Each is read and hashed when the iterator comes to it.
    pub fn manifest(&self, cloud: Cloud, type_name: &str, date: Date) -> impl Iterator<Item = ManifestEntry> + use<> {
        let objects = self.account().objects(cloud, type_name, date);
        objects.into_iter().map(|(key, object)| ManifestEntry {
            key,
            size_bytes: object.size_bytes(),
            sha256_hex: object.sha256_hex(),
        })
    }

    /// Lets a fault happen from now on. What it gives tells how often the fault fired.
    pub fn inject(&self, fault: Fault) -> Injected {
        self.service.faults.inject(fault)
    }

    /// Forgets all injected faults. Bodies under way keep those that they met.
    pub fn clear_faults(&self) {
        self.service.faults.clear();
    }

    /// The injected faults in the order of their injection.
    pub fn faults(&self) -> Vec<Injected> {
        self.service.faults.all()
    }

    /// Numbers of requests so far.
    pub fn requests(&self) -> Requests {
        Requests {
            sent_bytes: self.service.pace.sent_bytes(),
            credentials_issued: self.service.issuer.serial(),
            ..self.service.observation.requests()
        }
    }

    /// How often the object of the full key was asked for by GET, in both clouds together.
    pub fn gets(&self, key: &str) -> u64 {
        Cloud::ALL.into_iter().map(|cloud| self.gets_on(cloud, key)).sum()
    }

    /// How often the object of the full key was asked for by GET in one cloud.
    pub fn gets_on(&self, cloud: Cloud, key: &str) -> u64 {
        self.service.observation.gets(cloud, key)
    }

    /// The last [`LOG_REQUESTS_MAX`] requests, oldest first.
    pub fn log(&self) -> Vec<Logged> {
        self.service.observation.log()
    }

    /// Forgets the counted and logged requests; bytes sent and credentials issued keep counting.
    pub fn forget_requests(&self) {
        self.service.observation.reset();
    }

    /// Closes the socket and all connections, and waits until they are closed.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
