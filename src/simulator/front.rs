//! Which front end answers a call, and what all of them share.

use super::account::{Account, Cloud};
use super::call::{Call, Target};
use super::clock::Clock;
use super::credentials::Issuer;
use super::listing::{Listing, Marker, Page, Query, select};
use super::oauth::{self, OAuthServer};
use super::object::Object;
use super::reply::Reply;
use super::settings::Settings;
use super::{exchange, gcs, s3};
use http::StatusCode;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// What a front end works with.
pub(crate) struct Front<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) account: &'a RwLock<Account>,
    pub(crate) issuer: &'a Issuer,
    pub(crate) oauth: &'a OAuthServer,
    pub(crate) clock: &'a Clock,
}

impl Front<'_> {
    /// The bucket of the account in the cloud.
    pub(crate) fn bucket_name(&self, cloud: Cloud) -> String {
        self.settings.bucket_name(cloud)
    }

    /// True while the vendor delivers to the cloud.
    pub(crate) fn serves(&self, cloud: Cloud) -> bool {
        self.account().serves(cloud)
    }

    /// The object of the key.
    pub(crate) fn find(&self, cloud: Cloud, key: &str) -> Option<Arc<Object>> {
        self.account().bucket(cloud).and_then(|bucket| bucket.get(key)).cloned()
    }

    /// The page of keys that the query asks for.
    pub(crate) fn page(&self, cloud: Cloud, query: &Query) -> Page<Arc<Object>> {
        let empty = Default::default();
        select(self.account().bucket(cloud).unwrap_or(&empty), query)
    }

    fn account(&self) -> RwLockReadGuard<'_, Account> {
        self.account.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sound answer, still in a form that a fault can distort.
pub(crate) enum Answer {
    /// A page of keys.
    Listing(Listing, Form),
    /// Anything else.
    Reply(Reply),
}

/// How a listing is to be told, as far as the keys themselves do not say it.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// In XML.
    S3(s3::Form),
    /// In JSON.
    Gcs(gcs::Form),
}

impl Form {
    /// The listing in the words of the cloud.
    pub(crate) fn reply(&self, listing: &Listing) -> Reply {
        match self {
            Self::S3(form) => form.reply(listing),
            Self::Gcs(form) => form.reply(listing),
        }
    }

    /// A listing of the same beginning that repeats one key for about this number of bytes.
    pub(crate) fn bomb(&self, listing: &Listing, size_bytes: u64) -> Reply {
        match self {
            Self::S3(form) => form.bomb(listing, size_bytes),
            Self::Gcs(form) => form.bomb(listing, size_bytes),
        }
    }

    /// The token of a page that begins at the marker.
    pub(crate) fn token(&self, marker: &Marker) -> String {
        match self {
            Self::S3(_) => s3::token(marker),
            Self::Gcs(_) => gcs::token(marker),
        }
    }

    /// True if the answer repeats the prefix that it was asked for, so that it can be wrong about it.
    pub(crate) fn echoes_prefix(&self) -> bool {
        matches!(self, Self::S3(_))
    }
}

/// The sound answer to a call.
pub(crate) async fn answer(front: &Front<'_>, call: &Call) -> Answer {
    match &call.target {
        Target::Exchange => Answer::Reply(exchange::answer(front, call)),
        Target::OAuth => Answer::Reply(front.oauth.answer(call)),
        Target::Gcs(address) => gcs::answer(front, call, address).await,
        Target::S3 { .. } | Target::Broken => s3::answer(front, call).await,
    }
}

/// An error in the words of the service that the call is for. `code` takes the place of the usual code of the status.
pub(crate) fn error(front: &Front<'_>, call: &Call, status: u16, code: Option<&str>) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = status.canonical_reason().unwrap_or("Error");
    match &call.target {
        Target::Exchange => exchange::error(front.settings, call.number, status, code.unwrap_or("unexpected"), message),
        Target::OAuth => oauth::refuse(status, code.unwrap_or("server_error"), message),
        Target::Gcs(_) => gcs::injected_error(call, status, code),
        Target::S3 { .. } | Target::Broken => {
            s3::S3Error::new(status, code.unwrap_or(s3::usual_code(status)), message).reply(call)
        }
    }
}

/// Adds the headers that every answer of the service has.
pub(crate) fn sign_off(settings: &Settings, call: &Call, reply: Reply) -> Reply {
    match &call.target {
        Target::Exchange | Target::OAuth => reply,
        Target::Gcs(_) => gcs::sign_off(call, reply),
        Target::S3 { .. } | Target::Broken => s3::sign_off(settings.seed, call, reply),
    }
}
