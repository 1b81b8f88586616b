//! A partition of the export, one type on one day, and where it lies (domain.md sections 2 and 3).

use std::fmt;

use jiff::civil::Date;

use super::AccountId;
use super::days::parse_calendar_day;
use crate::error::{Error, ErrorKind, Result};

/// The value of a `type=` folder: `decisions`, `events`, or any other that the source lists.
///
/// Kept as it stands in the key, never decoded (domain.md section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeName(String);

impl TypeName {
    /// The types that the vendor documents; an export may have others.
    pub const DOCUMENTED: [&'static str; 2] = ["decisions", "events"];

    /// Reads the name of a type.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a name that cannot be one folder: empty, with a slash or NUL, or
    /// too long.
    pub fn parse(text: &str) -> Result<Self> {
        let is_folder = !text.is_empty() && text.len() <= 200 && !text.contains(['/', '\0']);
        if !is_folder {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("`{}` cannot be the name of a type", super::printable(text)),
            )
            .with_hint("types are single words such as decisions or events; `e3sync ls` shows what the source has"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder's name: `type=NAME`.
    pub fn folder(&self) -> String {
        format!("type={}", self.0)
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&super::printable(&self.0))
    }
}

/// One `type=T/date=D/` folder: the unit of planning, transfer, publication and resume.
///
/// ```
/// use e3sync::export::{Partition, TypeName};
///
/// let partition =
///     Partition { type_name: TypeName::parse("decisions")?, date: jiff::civil::date(2026, 11, 20) };
/// assert_eq!(partition.to_string(), "type=decisions/date=2026-11-20");
/// # Ok::<(), e3sync::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The type.
    pub type_name: TypeName,
    /// The UTC day on which the vendor processed the events.
    pub date: Date,
}

impl Partition {
    /// The day's folder: `date=2026-11-20`.
    pub fn date_folder(&self) -> String {
        format!("date={}", self.date)
    }

    /// The path below an account's root or a destination, with a slash at the end.
    pub fn prefix(&self) -> String {
        format!("type={}/date={}/", self.type_name.as_str(), self.date)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "type={}/date={}", self.type_name, self.date)
    }
}

/// Where an account's export lies in one cloud: `s3://bucket/v1/account_id=ID/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportLocation {
    /// The scheme of the cloud: `s3` or `gs`.
    pub scheme: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The prefix inside the bucket, `v1/account_id=ID/`, with a slash at the end.
    pub root: String,
    /// The account that the prefix names.
    pub account_id: AccountId,
}

impl ExportLocation {
    /// The location of `account_id` in `bucket`, by the documented layout (domain.md section 2).
    pub fn of_account(scheme: &'static str, bucket: &str, account_id: AccountId) -> Self {
        let root = format!("v1/account_id={account_id}/");
        Self { scheme, bucket: bucket.to_owned(), root, account_id }
    }

    /// Reads a location as the Authentication API gives it, with or without the last slash.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for another scheme, for a path that does not end in
    /// `account_id=DIGITS`, or for a bucket that is not one.
    pub fn parse(scheme: &'static str, url: &str) -> Result<Self> {
        let refuse = || {
            Error::new(ErrorKind::Protocol, format!("`{}` is not a location of an export", super::printable(url)))
                .with_hint("expected the form s3://BUCKET/v1/account_id=DIGITS")
        };
        let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        let (bucket, path) = rest.and_then(|rest| rest.split_once('/')).ok_or_else(refuse)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let digits = path.strip_prefix("v1/account_id=").ok_or_else(refuse)?;
        let account_id = AccountId::parse(digits).map_err(|_| refuse())?;
        if !is_bucket_name(bucket) {
            return Err(refuse());
        }
        Ok(Self::of_account(scheme, bucket, account_id))
    }

    /// The full prefix of a partition inside the bucket.
    pub fn partition_prefix(&self, partition: &Partition) -> String {
        format!("{}{}", self.root, partition.prefix())
    }
}

impl fmt::Display for ExportLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}/{}", self.scheme, self.bucket, self.root)
    }
}

/// Whether a text can be a bucket's name, and so can stand in a URL without changing its meaning.
fn is_bucket_name(text: &str) -> bool {
    (3..=222).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The day that a `date=YYYY-MM-DD` folder stands for.
pub(crate) fn day_of_folder(folder: &str) -> Option<Date> {
    folder.strip_prefix("date=").and_then(parse_calendar_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_with_and_without_the_last_slash() {
        for url in ["s3://optimizely-events-data/v1/account_id=123", "s3://optimizely-events-data/v1/account_id=123/"] {
            let location = ExportLocation::parse("s3", url).unwrap();
            assert_eq!(location.bucket, "optimizely-events-data");
            assert_eq!(location.root, "v1/account_id=123/");
        }
    }

    #[test]
    fn a_location_elsewhere_is_refused() {
        for url in [
            "gs://b-b/v1/account_id=123",
            "s3://b-b",
            "s3://b-b/",
            "s3://b-b/v2/account_id=1",
            "s3://b-b/v1/account_id=1/type=x",
            "s3://b-b/v1/account_id=",
            "s3://user@host/v1/account_id=1",
            "s3:///v1/account_id=1",
        ] {
            assert!(ExportLocation::parse("s3", url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_a_calendar_day_is_a_date_folder() {
        assert!(day_of_folder("date=2026-11-20").is_some());
        for folder in ["date=__HIVE_DEFAULT_PARTITION__", "date=2026-13-01", "date=20261120", "day=2026-11-20"] {
            assert!(day_of_folder(folder).is_none(), "{folder}");
        }
    }
}
