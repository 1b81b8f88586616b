//! Who asks, and whether they may.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::front::Front;
use super::super::observation::Operation;
use super::address::{Address, Place};
use super::error::GcsError;

/// Checks the bearer token: unknown, expired, or of an account that is served no more, it is invalid.
pub(crate) fn identify(front: &Front<'_>, call: &Call) -> Result<(), GcsError> {
    let header = call.header("authorization").ok_or_else(GcsError::anonymous)?;
    let expiration = header.strip_prefix("Bearer ").and_then(|token| front.issuer.find_bearer(token));
    let lives = expiration.is_some_and(|expiration| expiration > front.clock.now());
    if lives && front.serves(Cloud::Gcs) { Ok(()) } else { Err(GcsError::invalid_credentials()) }
}

/// Allows listings and reads below the account's folder, and nothing else.
pub(crate) fn permit(front: &Front<'_>, call: &Call, address: &Address) -> Result<(), GcsError> {
    if address.place == Place::Nowhere {
        return Err(GcsError::not_found("Not Found"));
    }
    let folder = format!("v1/account_id={}/", front.settings.account_id);
    let own = address.bucket == front.bucket_name(Cloud::Gcs) && call.subject().starts_with(&folder);
    match call.operation {
        Operation::List | Operation::Get | Operation::Head if own => Ok(()),
        Operation::List => Err(GcsError::forbidden("storage.objects.list")),
        Operation::Get | Operation::Head => Err(GcsError::forbidden("storage.objects.get")),
        _ if matches!(address.place, Place::Bucket) => Err(GcsError::forbidden("storage.buckets.get")),
        _ => Err(GcsError::forbidden("storage.objects.create")),
    }
}
