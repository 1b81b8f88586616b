//! How deep below an account's folder a listing is.

use super::super::call::Call;
use super::super::observation::Operation;
use std::fmt;
use std::str::FromStr;

/// What a listing lists: credentials may be limited to prefixes that lie deeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The types of the account.
    Types,
    /// The days of a type.
    Days,
    /// The objects of a day.
    Objects,
}

impl Depth {
    const ALL: [(&'static str, Self); 3] = [("types", Self::Types), ("days", Self::Days), ("objects", Self::Objects)];

    /// The depth of a call, if it is a listing.
    pub(super) fn of(call: &Call) -> Option<Self> {
        if call.operation != Operation::List {
            return None;
        }
        let below_account = call.subject().split_once("account_id=").and_then(|(_, rest)| rest.split_once('/'));
        Some(match below_account.map(|(_, rest)| rest.split_once('/')) {
            None | Some(None) => Self::Types,
            Some(Some((_, ""))) => Self::Days,
            Some(Some(_)) => Self::Objects,
        })
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, depth)| depth == self).map_or("", |(name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Depth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, depth)| *depth)
            .ok_or_else(|| format!("no depth is called {text:?}; there are types, days and objects"))
    }
}
