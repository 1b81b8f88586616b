//! Whose mirror a directory is: the account's, from its first publication on.

use std::io::BufReader;

use super::folder::Folder;
use super::{durable, layout};
use crate::destination::identity::MirrorIdentity;
use crate::error::{Error, ErrorKind, Result};
use crate::export::AccountId;

/// Makes the destination the account's, or checks that it is.
pub(super) fn claim_for_account(side: &Folder, account_id: &AccountId) -> Result<()> {
    if let Some(identity) = read_identity(side)? {
        return identity.check(account_id);
    }
    let name = format!("{}.{}", layout::DESTINATION_FILE, rand::random::<u64>());
    durable::write_file(side, &name, |mut output| {
        serde_json::to_writer_pretty(&mut output, &MirrorIdentity::of_account(account_id))?;
        Ok(output)
    })?;
    // Two first runs may come at once: only one of them names the account, both look at who it was.
    if !side.rename_if_free(&name, side, layout::DESTINATION_FILE)? {
        side.remove_file(&name)?;
    }
    side.sync()?;
    match read_identity(side)? {
        Some(identity) => identity.check(account_id),
        None => Ok(()),
    }
}

/// The account that the directory belongs to, where one has published.
pub(super) fn read_identity(side: &Folder) -> Result<Option<MirrorIdentity>> {
    let Some(file) = side.file(layout::DESTINATION_FILE)? else { return Ok(None) };
    let path = side.path().join(layout::DESTINATION_FILE);
    serde_json::from_reader(BufReader::new(file)).map(Some).map_err(|cause| {
        Error::new(ErrorKind::DestinationForeign, format!("{} is not e3sync's", path.display()))
            .with_hint("choose another directory, or move the file away if it is damaged")
            .with_cause(cause)
    })
}
