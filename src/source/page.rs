use crate::error::Result;
use crate::export::Object;
pub(super) use crate::net::untrusted_listing as untrusted;
use crate::source::{Page, PageToken};

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

impl RawPage {
    /// The page, once it is proven to be a page of the listing of `prefix` that follows `from`;
    /// keys are cut to what follows `cut`, a beginning of `prefix`.
    pub fn into_page(mut self, prefix: &str, cut: &str, from: Option<&PageToken>) -> Result<Page> {
        self.check_prefix(prefix)?;
        let mut last_key = from.map(|token| token.last_key.clone());
        for object in &mut self.objects {
            check_key(&object.key, prefix, last_key.as_deref())?;
            let relative = object.key[cut.len()..].to_owned();
            last_key = Some(std::mem::replace(&mut object.key, relative));
        }
        let next = self.next_token(prefix, last_key.unwrap_or_default(), from)?;
        Ok(Page { objects: self.objects, next })
    }

    /// The folders, once they are proven to lie directly below `prefix`, and the next page.
    pub fn into_folders(mut self, prefix: &str, from: Option<&PageToken>) -> Result<(Vec<String>, Option<PageToken>)> {
        self.check_prefix(prefix)?;
        let mut last_key = from.map(|token| token.last_key.clone());
        for folder in &mut self.folders {
            check_key(folder, prefix, last_key.as_deref())?;
            let name = folder[prefix.len()..].trim_end_matches('/').to_owned();
            last_key = Some(std::mem::replace(folder, name));
        }
        let next = self.next_token(prefix, last_key.unwrap_or_default(), from)?;
        Ok((self.folders, next))
    }

    fn check_prefix(&self, prefix: &str) -> Result<()> {
        match &self.prefix {
            Some(echoed) if echoed != prefix => Err(untrusted(prefix, "it says that it lists another prefix")),
            _ => Ok(()),
        }
    }

    fn next_token(&mut self, prefix: &str, last_key: String, from: Option<&PageToken>) -> Result<Option<PageToken>> {
        match self.next_token.take() {
            Some(token) if from.is_some_and(|from| from.token == token) => Err(untrusted(prefix, "its pages repeat")),
            Some(token) => Ok(Some(PageToken { token, last_key })),
            None => Ok(None),
        }
    }
}

fn check_key(key: &str, prefix: &str, last_key: Option<&str>) -> Result<()> {
    if !key.starts_with(prefix) {
        return Err(untrusted(prefix, "it has keys from elsewhere"));
    }
    if last_key.is_some_and(|last_key| key.as_bytes() <= last_key.as_bytes()) {
        return Err(untrusted(prefix, "its keys are not in ascending order"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn raw(keys: &[&str], next_token: Option<&str>) -> RawPage {
        RawPage {
            prefix: Some("p/".into()),
            objects: keys.iter().map(|key| Object { key: (*key).into(), ..Object::default() }).collect(),
            folders: Vec::new(),
            next_token: next_token.map(Into::into),
        }
    }

    #[test]
    fn keys_are_cut_and_the_next_page_is_tied_to_this_one() {
        let page = raw(&["p/a", "p/b"], Some("t1")).into_page("p/", "p/", None).unwrap();
        assert_eq!(page.objects[1].key, "b");
        let next = page.next.unwrap();
        assert_eq!(next.last_key, "p/b");
        assert!(raw(&["p/c"], None).into_page("p/", "p/", Some(&next)).is_ok());
        assert!(raw(&["p/b"], None).into_page("p/", "p/", Some(&next)).is_err(), "a key again");
        assert!(raw(&["p/c"], Some("t1")).into_page("p/", "p/", Some(&next)).is_err(), "a token again");
    }

    #[test]
    fn a_listing_of_something_else_is_not_believed() {
        for keys in [&["q/a"][..], &["p/b", "p/a"], &["p/a", "p/a"]] {
            let error = raw(keys, None).into_page("p/", "p/", None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ListingUntrusted, "{keys:?}");
        }
        let mut other = raw(&[], None);
        other.prefix = Some("elsewhere/".into());
        assert!(other.into_page("p/", "p/", None).is_err());
    }
}
