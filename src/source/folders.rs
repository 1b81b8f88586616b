use std::future::Future;

use jiff::civil::Date;

use super::PageToken;
use super::page::untrusted;
use crate::error::Result;
use crate::export::{TypeName, day_of_folder};

/// The most pages of folders that are read: a thousand years of days.
const PAGES_MAX: usize = 400;

/// The names of all folders that a delimiter listing gives, page after page.
///
/// # Errors
/// What the source answers; a listing without end is not believed.
pub(super) async fn collect<F, R>(list: F) -> Result<Vec<String>>
where
    F: Fn(Option<PageToken>) -> R,
    R: Future<Output = Result<(Vec<String>, Option<PageToken>)>>,
{
    let mut folders = Vec::new();
    let mut from = None;
    for _ in 0..PAGES_MAX {
        let (page, next) = list(from).await?;
        folders.extend(page);
        if next.is_none() {
            return Ok(folders);
        }
        from = next;
    }
    Err(untrusted("the account", "it has no end"))
}

/// The types among the folders below an account's root.
pub(super) fn types_of(folders: &[String]) -> Vec<TypeName> {
    let names = folders.iter().filter_map(|folder| folder.strip_prefix("type="));
    names.filter_map(|name| TypeName::parse(name).ok()).collect()
}

/// The days among the folders below a type. Folders that name no day are left out.
pub(super) fn days_of(folders: &[String]) -> Vec<Date> {
    folders.iter().filter_map(|folder| day_of_folder(folder)).collect()
}
