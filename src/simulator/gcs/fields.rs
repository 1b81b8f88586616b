//! The `fields` parameter: the parts of a JSON answer that the client wants, as in `items(name,size),nextPageToken`.

use super::super::call::Call;
use super::GcsError;
use super::resource::MEMBERS;
use serde_json::Value;
use std::collections::BTreeMap;

/// Deeper parentheses and paths than these are refused.
const DEPTH_MAX: usize = 8;

const LISTING_MEMBERS: [&str; 4] = ["items", "kind", "nextPageToken", "prefixes"];

/// Wanted members, each with what is wanted of it; none named means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, Fields>);

impl Fields {
    /// What the call wants of a listing.
    pub(crate) fn of_listing(call: &Call) -> Result<Self, GcsError> {
        Self::asked(call, |fields| {
            let items = fields.member("items").and_then(|items| items.unknown(&MEMBERS));
            fields.unknown(&LISTING_MEMBERS).or(items).is_none()
        })
    }

    /// What the call wants of the description of an object.
    pub(crate) fn of_object(call: &Call) -> Result<Self, GcsError> {
        Self::asked(call, |fields| fields.unknown(&MEMBERS).is_none())
    }

    fn asked(call: &Call, known: impl Fn(&Self) -> bool) -> Result<Self, GcsError> {
        let Some(text) = call.parameter("fields") else {
            return Ok(Self::default());
        };
        Self::parse(text).filter(known).ok_or_else(|| GcsError::invalid("fields", text))
    }

    /// Reads the parameter; none if it is broken.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = Self::default();
        let rest = fields.read_list(text, DEPTH_MAX)?;
        rest.is_empty().then_some(fields)
    }

    /// The first wanted member that is not among the known ones.
    fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|name| *name != "*" && !known.contains(name))
    }

    /// What is wanted of a member, if it is wanted.
    fn member(&self, name: &str) -> Option<&Self> {
        self.0.get(name).or_else(|| self.0.get("*"))
    }

    /// The value without what is not wanted. In an array that holds for each element.
    pub(crate) fn of(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::Array(elements) => elements.into_iter().map(|element| self.of(element)).collect(),
            Value::Object(members) => {
                let wanted = |(name, value): (String, Value)| self.member(&name).map(|fields| (name, fields.of(value)));
                members.into_iter().filter_map(wanted).collect()
            }
            plain => plain,
        }
    }

    /// Reads `a,b/c,d(e)` and gives what follows it.
    fn read_list<'a>(&mut self, mut text: &'a str, depth: usize) -> Option<&'a str> {
        loop {
            text = self.read_one(text, depth.checked_sub(1)?)?;
            match text.strip_prefix(',') {
                Some(rest) => text = rest,
                None => return Some(text),
            }
        }
    }

    fn read_one<'a>(&mut self, text: &'a str, depth: usize) -> Option<&'a str> {
        let end = text.find([',', '/', '(', ')']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return None;
        }
        let member = self.0.entry(name.to_owned()).or_default();
        if let Some(path) = rest.strip_prefix('/') {
            return member.read_one(path, depth.checked_sub(1)?);
        }
        match rest.strip_prefix('(') {
            Some(list) => member.read_list(list, depth)?.strip_prefix(')'),
            None => Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_wanted_is_left() {
        let value = json!({"kind": "k", "items": [{"name": "a", "size": "1"}, {"name": "b"}], "nextPageToken": "t"});
        let of = |fields: &str| Fields::parse(fields).unwrap().of(value.clone());
        assert_eq!(of("items(name)"), json!({"items": [{"name": "a"}, {"name": "b"}]}));
        assert_eq!(of("items/size,nextPageToken"), json!({"items": [{"size": "1"}, {}], "nextPageToken": "t"}));
        assert_eq!(of("items/name,items/size"), of("items(name,size)"));
        assert_eq!(of("*"), value);
        assert_eq!(of("prefixes"), json!({}));
    }

    #[test]
    fn broken_and_unknown_ones_are_noticed() {
        for bad in ["", ",", "a(", "a(b", "a)", "a()", "a//b", &"a(".repeat(100), &"a/".repeat(100)] {
            assert_eq!(Fields::parse(bad), None, "{bad}");
        }
        let fields = Fields::parse("items(name,md5hash)").unwrap();
        assert_eq!(fields.unknown(&["items"]), None);
        assert_eq!(fields.member("items").unwrap().unknown(&["name", "md5Hash"]), Some("md5hash"));
    }
}
