//! Whether a page belongs to the listing that was asked for and follows the page before it (design.md
//! promise 10): one check for sources and destinations in every cloud, without input or output.

/// Maximum number of consecutive pages without any key. A bucket that keeps old versions can answer
/// such pages, though each of them covers many deleted keys.
const EMPTY_PAGES_MAX: u32 = 1_000;

/// Maximum number of pages of one listing: a hundred million keys.
pub const PAGES_MAX: u32 = 100_000;

/// Where a listing continues: the server's opaque token, and what the next page is checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageToken {
    /// The server's token.
    pub token: String,
    /// The last key of the pages so far, in full; the keys of the next page come after it.
    pub last_key: String,
    /// The number of consecutive pages without any key up to here.
    pub empty_pages: u32,
}

/// What a server states about one page of a listing.
pub(crate) struct StatedPage<'a> {
    /// The prefix that the answer says it lists, where the protocol echoes it.
    pub echoed_prefix: Option<&'a str>,
    /// The token of the next page, where there is one.
    pub next_token: Option<String>,
}

impl StatedPage<'_> {
    /// Where the listing of `prefix` continues, if the page with these full keys belongs to it and
    /// follows `from`.
    ///
    /// # Errors
    /// The reason why the page is not believed, as a lower-case fragment.
    pub fn check<'k>(
        self,
        prefix: &str,
        keys: impl IntoIterator<Item = &'k str>,
        from: Option<&PageToken>,
    ) -> Result<Option<PageToken>, &'static str> {
        if self.echoed_prefix.is_some_and(|echoed| echoed != prefix) {
            return Err("it says that it lists another prefix");
        }
        let mut last_key = from.map(|from| from.last_key.as_str()).filter(|key| !key.is_empty());
        let mut is_empty = true;
        for key in keys {
            if !key.starts_with(prefix) {
                return Err("it has keys from elsewhere");
            }
            if last_key.is_some_and(|last_key| key.as_bytes() <= last_key.as_bytes()) {
                return Err("its keys are not in ascending order");
            }
            last_key = Some(key);
            is_empty = false;
        }
        let Some(token) = self.next_token else { return Ok(None) };
        if from.is_some_and(|from| from.token == token) {
            return Err("its pages repeat");
        }
        let empty_pages = if is_empty { from.map_or(0, |from| from.empty_pages) + 1 } else { 0 };
        if empty_pages > EMPTY_PAGES_MAX {
            return Err("it goes on without any key");
        }
        Ok(Some(PageToken { token, last_key: last_key.unwrap_or_default().to_owned(), empty_pages }))
    }
}

/// The token of the next page of an S3 listing, where an answer says both whether it is cut off and
/// where it continues.
///
/// # Errors
/// The reason why the answer is not believed, as a lower-case fragment.
pub(crate) fn next_token(is_truncated: bool, token: Option<String>) -> Result<Option<String>, &'static str> {
    match (is_truncated, token.filter(|token| !token.is_empty())) {
        (true, None) => Err("it breaks off without saying where it goes on"),
        (false, Some(_)) => Err("it says that it ends and where it goes on"),
        (_, token) => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], token: Option<&str>, from: Option<&PageToken>) -> Result<Option<PageToken>, &'static str> {
        let page = StatedPage { echoed_prefix: Some("p/"), next_token: token.map(Into::into) };
        page.check("p/", keys.iter().copied(), from)
    }

    fn first() -> PageToken {
        check(&["p/a", "p/b"], Some("t1"), None).unwrap().unwrap()
    }

    #[test]
    fn a_page_follows_the_page_before_it() {
        assert_eq!(first(), PageToken { token: "t1".into(), last_key: "p/b".into(), empty_pages: 0 });
        assert_eq!(check(&["p/c"], None, Some(&first())), Ok(None));
        for (keys, what) in [(&["p/b", "p/c"][..], "the last key again"), (&["p/a"], "an earlier key")] {
            assert!(check(keys, None, Some(&first())).is_err(), "{what}");
        }
        assert!(check(&["p/c"], Some("t1"), Some(&first())).is_err(), "the same token again");
    }

    #[test]
    fn an_empty_page_keeps_the_place_of_the_page_before_it() {
        let empty = check(&[], Some("t2"), Some(&first())).unwrap().unwrap();
        assert_eq!(empty, PageToken { token: "t2".into(), last_key: "p/b".into(), empty_pages: 1 });
        assert!(check(&["p/b"], None, Some(&empty)).is_err());
        let filled = check(&["p/c"], Some("t3"), Some(&empty)).unwrap().unwrap();
        assert_eq!(filled.empty_pages, 0);
    }

    #[test]
    fn empty_pages_come_to_an_end() {
        let mut from = first();
        for number in 0..EMPTY_PAGES_MAX {
            from = check(&[], Some(&format!("e{number}")), Some(&from)).unwrap().unwrap();
        }
        assert!(check(&[], Some("one more"), Some(&from)).is_err());
        assert_eq!(check(&[], None, Some(&from)), Ok(None));
    }

    #[test]
    fn a_listing_of_something_else_is_not_believed() {
        for keys in [&["q/a"][..], &["p/b", "p/a"], &["p/a", "p/a"]] {
            assert!(check(keys, None, None).is_err(), "{keys:?}");
        }
        let page = |echoed_prefix| StatedPage { echoed_prefix, next_token: None };
        assert!(page(Some("elsewhere/")).check("p/", [], None).is_err());
        assert!(page(Some("")).check("p/", [], None).is_err());
        assert!(page(None).check("p/", ["p/a"], None).is_ok(), "not every protocol echoes the prefix");
    }

    #[test]
    fn an_answer_says_in_one_way_whether_it_ends() {
        let token = || Some("t".to_owned());
        assert_eq!(next_token(true, token()), Ok(token()));
        assert_eq!(next_token(false, None), Ok(None));
        assert_eq!(next_token(false, Some(String::new())), Ok(None));
        assert!(next_token(true, None).is_err());
        assert!(next_token(false, token()).is_err());
    }
}
