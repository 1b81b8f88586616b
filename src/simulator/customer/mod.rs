//! A bucket of the customer's own, in memory and on loopback: what the export is mirrored into.
//!
//! It speaks the S3 protocol and Google's XML interface over one and the same contents, told apart by the form of the
//! authorization, and it is strict where the clouds are: signatures, checksums, conditions and part sizes. Unlike the
//! export's, its faults are Rust values, because only tests need them.

mod copy;
mod digest;
mod faults;
mod front;
mod listing;
mod multipart;
mod object;
mod operation;
mod quirk;
mod requests;
mod service;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub use copy::{StoredCopy, StoredVersion};
pub use faults::{BucketAction, BucketFault, Gate, InjectedBucketFault, When};
pub use operation::BucketOperation;
pub use quirk::Quirk;
pub use requests::{BucketRequest, BucketRequests};
pub use settings::CustomerSettings;

use super::server::Server;
use super::settings::AccessKey;
use bytes::Bytes;
use copy::{Labels, Sum};
use digest::Algorithm;
use jiff::Timestamp;
use service::Service;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use store::Condition;

/// An unfinished upload in a customer's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUpload {
    /// The key of the object that is to be.
    pub key: String,
    /// Its id.
    pub id: String,
    /// The sizes of its parts in bytes, by their number.
    pub part_sizes: BTreeMap<u32, u64>,
    /// When it was begun, by the server's clock.
    pub begun_at: Timestamp,
}

/// A running bucket. Dropping it stops it without waiting; [`CustomerBucket::stop`] waits.
pub struct CustomerBucket {
    service: Arc<Service>,
    server: Option<Server>,
}

impl CustomerBucket {
    /// Makes an empty bucket and begins to serve it on the current runtime.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for settings that [`CustomerSettings::check`] refuses, or the error of the listening socket.
    pub async fn start(settings: CustomerSettings) -> io::Result<Self> {
        settings.check().map_err(|broken| io::Error::new(io::ErrorKind::InvalidInput, broken))?;
        let service = Arc::new(Service::new(settings));
        let server = Server::start(service.settings.listen, service.clone()).await?;
        Ok(Self { service, server: Some(server) })
    }

    /// `http://ADDRESS:PORT`, the endpoint of both protocols.
    pub fn url(&self) -> String {
        self.server.as_ref().map(|server| format!("http://{}", server.address())).unwrap_or_default()
    }

    /// The settings of the start.
    pub fn settings(&self) -> &CustomerSettings {
        &self.service.settings
    }

    /// What the bucket holds now, by ascending key.
    pub fn objects(&self) -> BTreeMap<String, StoredCopy> {
        self.service.store.objects().into_iter().map(|(key, copy)| (key, (*copy).clone())).collect()
    }

    /// One object.
    pub fn object(&self, key: &str) -> Option<StoredCopy> {
        self.service.store.find(key).map(|copy| (*copy).clone())
    }

    /// Everything that was written to a key and is kept, oldest first; in a bucket without versions the object only.
    pub fn versions(&self, key: &str) -> Vec<StoredVersion> {
        self.service.store.versions(key)
    }

    /// Writes an object as somebody else would, without a request.
    pub fn put_object(&self, key: &str, bytes: impl Into<Bytes>) {
        let copy = Labels::default().copy(bytes.into(), &Sum::whole(Algorithm::usual()), self.service.clock.now());
        // Without a condition nothing is refused.
        let _ = self.service.store.put(key, copy, &Condition::None);
    }

    /// Deletes an object as somebody else would, without a request; true if there was one.
    pub fn remove_object(&self, key: &str) -> bool {
        self.service.store.remove(key, &Condition::None).unwrap_or(false)
    }

    /// The uploads that were begun and neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> Vec<StoredUpload> {
        let uploads = self.service.store.uploads().into_iter().map(|((key, id), upload)| StoredUpload {
            key,
            id,
            part_sizes: upload.parts.iter().map(|(&number, part)| (number, part.bytes.len() as u64)).collect(),
            begun_at: upload.begun_at,
        });
        uploads.collect()
    }

    /// Aborts all unfinished uploads, as a lifecycle rule would.
    pub fn abort_uploads(&self) {
        self.service.store.abort_uploads();
    }

    /// Lets a fault happen from now on. What it gives tells how often the fault fired.
    pub fn inject(&self, fault: BucketFault) -> InjectedBucketFault {
        self.service.faults.inject(fault)
    }

    /// Lets the next request of the operation whose key contains the text wait until the gate is opened.
    pub fn freeze(&self, when: When, operation: BucketOperation, key_part: &str) -> Gate {
        let gate = Gate::new();
        let action = BucketAction::Freeze(when, gate.clone());
        self.inject(BucketFault::new(operation, action).on(key_part).times(1));
        gate
    }

    /// Forgets all injected faults. Requests under way keep those that they met.
    pub fn clear_faults(&self) {
        self.service.faults.clear();
    }

    /// What was asked so far.
    pub fn requests(&self) -> BucketRequests {
        self.service.journal.requests()
    }

    /// Forgets the counted and logged requests.
    pub fn forget_requests(&self) {
        self.service.journal.forget();
    }

    /// From now on the credentials of both clouds are expired, until [`CustomerBucket::renew_credentials`].
    pub fn expire_credentials(&self) {
        self.service.credentials().are_expired = true;
    }

    /// Accepts only these credentials from now on.
    pub fn renew_credentials(&self, access_key: AccessKey, session_token: Option<String>, bearer: &str) {
        let bearer = bearer.to_owned();
        *self.service.credentials() = service::Credentials { access_key, session_token, bearer, are_expired: false };
    }

    /// Closes the socket and all connections, gives up the requests under way, and waits until all is over.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.service.take_running().shutdown().await;
    }
}

impl Drop for CustomerBucket {
    fn drop(&mut self) {
        // Requests under way hold the service, which holds them.
        self.service.take_running().abort_all();
    }
}
