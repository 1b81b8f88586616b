//! How the exchange spells the end of AWS credentials.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::str::FromStr;

/// The forms of `expiration`; the documents have milliseconds as an integer (domain.md section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpirationForm {
    /// Milliseconds, an integer.
    #[default]
    Integer,
    /// Milliseconds with a fraction.
    Float,
    /// Milliseconds with an exponent, as a text.
    Exponent,
    /// Milliseconds as a text.
    Text,
    /// Seconds, an integer.
    Seconds,
    /// A time by ISO 8601.
    Iso8601,
    /// A time ten years away.
    FarAway,
    /// A time that has passed.
    Past,
    /// Something that is no time.
    Object,
}

impl ExpirationForm {
    const ALL: [(&'static str, Self); 9] = [
        ("integer", Self::Integer),
        ("float", Self::Float),
        ("exponent", Self::Exponent),
        ("text", Self::Text),
        ("seconds", Self::Seconds),
        ("iso8601", Self::Iso8601),
        ("far-away", Self::FarAway),
        ("past", Self::Past),
        ("object", Self::Object),
    ];

    /// The document's field for credentials that end then.
    pub(crate) fn write(self, ends_at: Timestamp) -> Value {
        let moved = |hours: i64| ends_at.saturating_add(SignedDuration::from_hours(hours)).unwrap_or(ends_at);
        let milliseconds = ends_at.as_millisecond();
        match self {
            Self::Integer => json!(milliseconds),
            Self::Float => json!(milliseconds as f64 + 0.5),
            Self::Exponent => json!(format!("{milliseconds:e}")),
            Self::Text => json!(milliseconds.to_string()),
            Self::Seconds => json!(ends_at.as_second()),
            Self::Iso8601 => json!(ends_at.to_string()),
            Self::FarAway => json!(moved(24 * 365 * 10).as_millisecond()),
            Self::Past => json!(moved(-24 * 30).as_millisecond()),
            Self::Object => json!({}),
        }
    }
}

/// Parses the name of a form; the error says which there are.
impl FromStr for ExpirationForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        found
            .map(|(_, form)| *form)
            .ok_or_else(|| format!("no form of an expiration is called {text:?}; there are {}", names()))
    }
}
