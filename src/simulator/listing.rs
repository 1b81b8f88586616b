//! What a listing holds, whichever cloud's words it is told in.

use super::object::Object;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// What a client asks a listing for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    /// Keys begin with it.
    pub(crate) prefix: String,
    /// Keys are rolled up at its first occurrence behind the prefix; empty for none.
    pub(crate) delimiter: String,
    /// Where the page begins.
    pub(crate) marker: Marker,
    /// The most keys and common prefixes, counted together.
    pub(crate) keys_max: usize,
    /// Keys are less than it.
    pub(crate) end: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Marker {
    /// At the first key.
    #[default]
    Start,
    /// At this key, or behind it if there is none.
    AtKey(String),
    /// Behind this key, which need not exist.
    AfterKey(String),
    /// Behind all keys with this prefix.
    AfterPrefix(String),
}

impl Marker {
    /// The text of a page token, before a cloud makes it opaque.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Start => "s".to_owned(),
            Self::AtKey(key) => format!("a{key}"),
            Self::AfterKey(key) => format!("k{key}"),
            Self::AfterPrefix(prefix) => format!("p{prefix}"),
        }
    }

    /// Reads what [`Marker::text`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let place = text.get(1..)?.to_owned();
        match text.as_bytes()[0] {
            b's' => Some(Self::Start),
            b'a' => Some(Self::AtKey(place)),
            b'k' => Some(Self::AfterKey(place)),
            b'p' => Some(Self::AfterPrefix(place)),
            _ => None,
        }
    }
}

/// One page of keys.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) objects: Vec<(String, T)>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Marker>,
}

/// An answered page, before it is put into a cloud's words.
#[derive(Debug)]
pub(crate) struct Listing<T = Arc<Object>> {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) objects: Vec<(String, T)>,
    pub(crate) prefixes: Vec<String>,
    /// The token that this page was asked for with.
    pub(crate) token: Option<String>,
    /// The token of the next page.
    pub(crate) next_token: Option<String>,
}

/// An end of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Last,
}

/// A marker that leads back into a page: to its first or to its last key.
pub(crate) fn back_to<T>(end: End, objects: &[(String, T)], prefixes: &[String]) -> Option<Marker> {
    let keys = objects.iter().map(|(key, _)| key).chain(prefixes);
    let key = if end == End::First { keys.min() } else { keys.max() };
    key.cloned().map(Marker::AtKey)
}

/// The page of the bucket that the query asks for.
pub(crate) fn select<T: Clone>(bucket: &BTreeMap<String, T>, query: &Query) -> Page<T> {
    let mut page = Page { objects: Vec::new(), prefixes: Vec::new(), next: None };
    let mut marker = query.marker.clone();
    while let Some((key, object)) = next_key(bucket, query, &marker) {
        if page.objects.len() + page.prefixes.len() >= query.keys_max {
            // A page of no keys is never followed by another one, or a client would ask for ever.
            page.next = (query.keys_max > 0).then_some(marker);
            break;
        }
        marker = match common_prefix(key, query) {
            Some(prefix) => {
                page.prefixes.push(prefix.clone());
                Marker::AfterPrefix(prefix)
            }
            None => {
                page.objects.push((key.clone(), object.clone()));
                Marker::AfterKey(key.clone())
            }
        };
    }
    page
}

fn next_key<'a, T>(bucket: &'a BTreeMap<String, T>, query: &Query, marker: &Marker) -> Option<(&'a String, &'a T)> {
    let prefix = query.prefix.as_str();
    let behind;
    let from = match marker {
        Marker::AtKey(key) if key.as_str() >= prefix => Bound::Included(key.as_str()),
        Marker::AfterKey(key) if key.as_str() >= prefix => Bound::Excluded(key.as_str()),
        Marker::AfterPrefix(group) if group.as_str() >= prefix => {
            behind = successor(group)?;
            Bound::Included(behind.as_str())
        }
        _ => Bound::Included(prefix),
    };
    let found = bucket.range::<str, _>((from, Bound::Unbounded)).next();
    found.filter(|(key, _)| key.starts_with(prefix) && query.end.as_ref().is_none_or(|end| *key < end))
}

fn common_prefix(key: &str, query: &Query) -> Option<String> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = &key[query.prefix.len()..];
    let end = rest.find(&query.delimiter)? + query.delimiter.len();
    Some(key[..query.prefix.len() + end].to_owned())
}

/// The least text that is greater than every text with the prefix; none if there is no greater one.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(keys: &[&str]) -> BTreeMap<String, ()> {
        keys.iter().map(|key| ((*key).to_owned(), ())).collect()
    }

    /// All pages joined, a common prefix marked by `*`.
    fn all(bucket: &BTreeMap<String, ()>, prefix: &str, delimiter: &str, keys_max: usize) -> Vec<String> {
        let mut query = Query { prefix: prefix.into(), delimiter: delimiter.into(), keys_max, ..Query::default() };
        let mut found = Vec::new();
        loop {
            let page = select(bucket, &query);
            assert!(page.objects.len() + page.prefixes.len() <= keys_max);
            found.extend(page.objects.into_iter().map(|(key, ())| key));
            found.extend(page.prefixes.into_iter().map(|prefix| format!("{prefix}*")));
            match page.next {
                Some(marker) => query.marker = marker,
                None => return found,
            }
        }
    }

    #[test]
    fn pages_of_any_size_hold_the_same() {
        let bucket = bucket(&["a/1", "a/2", "a/b/1", "a/b/2", "a/c/1", "a/d", "b/1"]);
        for keys_max in 1..8 {
            assert_eq!(all(&bucket, "a/", "", keys_max).len(), 6);
            let mut rolled = all(&bucket, "a/", "/", keys_max);
            rolled.sort();
            assert_eq!(rolled, ["a/1", "a/2", "a/b/*", "a/c/*", "a/d"], "{keys_max} keys a page");
        }
    }

    #[test]
    fn a_type_whose_name_continues_another_is_not_lost_behind_it() {
        let bucket = bucket(&["type=d-rerun/x", "type=d/x", "type=d/y", "type=events/x"]);
        assert_eq!(all(&bucket, "", "/", 1), ["type=d-rerun/*", "type=d/*", "type=events/*"]);
    }

    #[test]
    fn a_marker_before_the_prefix_changes_nothing() {
        let bucket = bucket(&["b/1", "b/2"]);
        let marker = Marker::AfterKey("a".to_owned());
        let query = Query { prefix: "b/".into(), marker, keys_max: 9, ..Query::default() };
        assert_eq!(select(&bucket, &query).objects.len(), 2);
        let none = select(&bucket, &Query { keys_max: 0, ..Query::default() });
        assert_eq!((none.objects.len(), none.next), (0, None));
    }

    #[test]
    fn keys_can_begin_at_one_and_end_before_another() {
        let bucket = bucket(&["a", "b", "c", "d"]);
        let marker = Marker::AtKey("b".to_owned());
        let query = Query { marker, keys_max: 9, end: Some("d".to_owned()), ..Query::default() };
        let found: Vec<_> = select(&bucket, &query).objects.into_iter().map(|(key, ())| key).collect();
        assert_eq!(found, ["b", "c"]);
    }

    #[test]
    fn successors_step_over_what_is_no_character() {
        assert_eq!(successor("a/").unwrap(), "a0");
        assert_eq!(successor("a\u{D7FF}").unwrap(), "a\u{E000}");
        assert_eq!(successor("a\u{10FFFF}").unwrap(), "b");
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
