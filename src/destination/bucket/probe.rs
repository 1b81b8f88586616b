//! What is done before the first transfer: whose mirror it is, and whether the bucket lets a run do
//! what it will have to do. A permission that is missing is better found now than after an hour.

use super::held::HeldRequests;
use super::layout::Layout;
use super::requests::{NoLease, Requests};
use super::store::{Condition, Put};
use crate::destination::identity::MirrorIdentity;
use crate::error::{Error, ErrorKind, Result};
use crate::export::AccountId;

/// Who the mirror is of, if there is one.
pub(super) async fn read_identity(requests: &Requests, layout: &Layout) -> Result<Option<MirrorIdentity>> {
    let key = layout.destination_file();
    match requests.get_json::<MirrorIdentity>(&key).await? {
        None => Ok(None),
        Some((Some(identity), _)) => Ok(Some(identity)),
        Some((None, _)) => {
            Err(Error::new(ErrorKind::DestinationForeign, format!("{} is not e3sync's", requests.address(&key)))
                .with_hint("choose another prefix, or move the object away if it is damaged"))
        }
    }
}

/// Sees that the mirror, if there is one, is the account's.
pub(super) async fn check_identity(requests: &Requests, layout: &Layout, account_id: &AccountId) -> Result<()> {
    match read_identity(requests, layout).await? {
        Some(identity) => identity.check(account_id),
        None => Ok(()),
    }
}

/// Makes the destination the account's. Of two first runs that publish at once only one can name it.
pub(super) async fn bind(requests: &HeldRequests, layout: &Layout, account_id: &AccountId) -> Result<()> {
    if let Some(identity) = read_identity(requests, layout).await? {
        return identity.check(account_id);
    }
    let bytes = serde_json::to_vec_pretty(&MirrorIdentity::of_account(account_id)).unwrap_or_default();
    requests.put_small(&layout.destination_file(), bytes, Condition::IfAbsent).await?;
    check_identity(requests, layout, account_id).await
}

/// The number in the name of the object that runs try first. No run has it.
const SHARED: u64 = 0;

/// Writes an object, reads it, and deletes it; says whether conditions are minded.
///
/// A bucket that lets nothing be deleted keeps one such object and not one of each run: the first name is the
/// same for all. Where it is taken, by a run that begins just now or by a leftover, this run has a name of its
/// own, once it may delete.
pub(super) async fn try_out(requests: &Requests, layout: &Layout, run: u64) -> Result<bool> {
    let content = run.to_string().into_bytes();
    let mut key = layout.probe(SHARED);
    if requests.put_with(&NoLease, &key, content.clone(), Condition::IfAbsent).await? == Put::Refused {
        key = layout.probe(run);
        requests.delete_with(&NoLease, std::slice::from_ref(&key)).await?;
        requests.put_with(&NoLease, &key, content.clone(), Condition::IfAbsent).await?;
    }
    // Other bytes, so that a refusal is told from an answer that got lost.
    let second = requests.put_with(&NoLease, &key, b"second".to_vec(), Condition::IfAbsent).await?;
    let read = requests.get_start(&key, 64).await?;
    requests.delete_with(&NoLease, std::slice::from_ref(&key)).await?;
    let minds_conditions = second == Put::Refused;
    if minds_conditions && read.is_none_or(|(bytes, _)| bytes != content) {
        return Err(Error::new(
            ErrorKind::DestinationUnusable,
            format!("{} does not read back as it was written", requests.address(&key)),
        )
        .with_hint("something between here and the bucket changes objects, or the server is not consistent"));
    }
    Ok(minds_conditions)
}
