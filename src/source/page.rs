//! A page of a listing in the words of both clouds, and what it amounts to once it is believed.

use crate::error::Result;
use crate::export::Object;
pub(super) use crate::net::untrusted_listing as untrusted;
use crate::plan::listing_check::{PageToken, StatedPage};
use crate::source::Page;

/// What a server answered to a listing request, in the words of both clouds.
pub(super) struct RawPage {
    /// The prefix that the answer says it lists.
    pub prefix: Option<String>,
    /// The objects with their full keys.
    pub objects: Vec<Object>,
    /// The folders, where a delimiter was given, in full.
    pub folders: Vec<String>,
    /// The token of the next page, where there is one.
    pub next_token: Option<String>,
}

/// What lies directly below a prefix, one page of it.
#[derive(Debug, Default)]
pub(super) struct FolderPage {
    /// The names of the folders, without slashes.
    pub folders: Vec<String>,
    /// The objects, their keys below the prefix.
    pub objects: Vec<Object>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<PageToken>,
}

impl RawPage {
    /// The page, once it is proven to be a page of the listing of `prefix` that follows `from`;
    /// keys are cut to what follows `cut`, a beginning of `prefix`.
    pub fn into_page(mut self, prefix: &str, cut: &str, from: Option<&PageToken>) -> Result<Page> {
        let next = self.check(prefix, from)?;
        cut_keys(&mut self.objects, cut.len());
        Ok(Page { objects: self.objects, next })
    }

    /// What lies directly below `prefix`, once it is proven to, and the next page.
    pub fn into_folders(mut self, prefix: &str, from: Option<&PageToken>) -> Result<FolderPage> {
        let next = self.check(prefix, from)?;
        let name = |folder: &String| folder[prefix.len()..].trim_end_matches('/').to_owned();
        let folders = self.folders.iter().map(name).collect();
        cut_keys(&mut self.objects, prefix.len());
        Ok(FolderPage { folders, objects: self.objects, next })
    }

    fn check(&mut self, prefix: &str, from: Option<&PageToken>) -> Result<Option<PageToken>> {
        let page = StatedPage { echoed_prefix: self.prefix.as_deref(), next_token: self.next_token.take() };
        let keys = self.objects.iter().map(|object| object.key.as_str());
        let folders = self.folders.iter().map(String::as_str);
        page.check(prefix, merged(keys, folders), from).map_err(|reason| untrusted(prefix, reason))
    }
}

fn cut_keys(objects: &mut [Object], length: usize) {
    for object in objects {
        object.key.drain(..length);
    }
}

/// Objects and folders in one order: a server tells them apart in its answer, and its pages are cut
/// from the order of both.
fn merged<'a>(
    one: impl Iterator<Item = &'a str>,
    other: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(key), Some(folder)) if key.as_bytes() > folder.as_bytes() => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn objects(keys: &[&str]) -> Vec<Object> {
        keys.iter().map(|key| Object { key: (*key).into(), ..Object::default() }).collect()
    }

    fn raw(keys: &[&str], folders: &[&str], next_token: Option<&str>) -> RawPage {
        RawPage {
            prefix: Some("p/".into()),
            objects: objects(keys),
            folders: folders.iter().map(|folder| (*folder).into()).collect(),
            next_token: next_token.map(Into::into),
        }
    }

    #[test]
    fn keys_are_cut_and_the_next_page_is_tied_to_this_one() {
        let page = raw(&["p/a", "p/b"], &[], Some("t1")).into_page("p/", "p/", None).unwrap();
        assert_eq!(page.objects, objects(&["a", "b"]));
        let next = page.next.unwrap();
        assert_eq!(next.last_key, "p/b");
        assert!(raw(&["p/c"], &[], None).into_page("p/", "p/", Some(&next)).is_ok());
        let error = raw(&["p/b"], &[], None).into_page("p/", "p/", Some(&next)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ListingUntrusted);
    }

    #[test]
    fn folders_and_objects_are_one_order() {
        let page = raw(&["p/b", "p/d"], &["p/a/", "p/c/"], Some("t1")).into_folders("p/", None).unwrap();
        assert_eq!((page.folders, page.objects), (vec!["a".to_owned(), "c".to_owned()], objects(&["b", "d"])));
        let next = page.next.unwrap();
        assert_eq!(next.last_key, "p/d");
        for (keys, folders) in
            [(&[][..], &["p/c/"][..]), (&["p/b"], &[]), (&["p/e"], &["p/e"]), (&[], &["p/f/", "p/e/"])]
        {
            let folded = raw(keys, folders, None).into_folders("p/", Some(&next));
            assert_eq!(folded.unwrap_err().kind(), ErrorKind::ListingUntrusted, "{keys:?} {folders:?}");
        }
    }
}
