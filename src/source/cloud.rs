//! The clouds that hold the account's export: those that take part, and those that do not, with the reason.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;

use super::Source;
use crate::error::{Error, ErrorKind};
use crate::export::{ExportLocation, Partition, TypeName};
use crate::progress::{Event, Observer};

/// One cloud that holds the account's export.
pub struct Cloud {
    /// Where in the cloud.
    pub location: ExportLocation,
    /// The way to it.
    pub source: Arc<dyn Source>,
}

/// An account's clouds: those that there are credentials for, and the others.
#[derive(Default)]
pub struct Clouds {
    /// The clouds that there are credentials for, the preferred one first.
    pub present: Vec<Arc<Cloud>>,
    /// The clouds that take no part, and why.
    pub absent: Vec<AbsentCloud>,
}

impl Clouds {
    /// Clouds that all take part.
    pub fn of(present: Vec<Arc<Cloud>>) -> Self {
        Self { present, absent: Vec::new() }
    }
}

/// A cloud that takes no part in what is done, and why.
#[derive(Clone, Debug)]
pub struct AbsentCloud {
    /// The scheme of the cloud: `s3` or `gs`.
    pub scheme: &'static str,
    /// Why it takes no part.
    pub error: Error,
    /// Whether the vendor says that the account has no export in this cloud. Otherwise there may be
    /// days in it that nobody sees now.
    pub is_without_export: bool,
}

impl AbsentCloud {
    /// A cloud that the Authentication API gives no credentials for.
    pub(crate) fn by_exchange(scheme: &'static str, error: Error) -> Self {
        // Of its answers only a 404 says that there is nothing to be had.
        Self { scheme, is_without_export: error.kind() == ErrorKind::AccessDenied, error }
    }

    /// A cloud whose bucket gives nothing for its credentials.
    pub(crate) fn by_listing(cloud: &Cloud, error: Error) -> Self {
        Self { scheme: cloud.location.scheme, error, is_without_export: false }
    }

    /// Tells that it takes no part: a warning, unless it is only that the account does not use this cloud.
    pub(crate) fn tell(&self, observer: &dyn Observer) {
        let message = &self.to_string();
        let is_news = !self.is_without_export;
        observer.observe(&if is_news { Event::Warning { message } } else { Event::Notice { message } });
    }

    /// The cloud by the name that people know.
    pub fn name(&self) -> &'static str {
        if self.scheme == "gs" { "Google Cloud Storage" } else { "S3" }
    }
}

impl fmt::Display for AbsentCloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} takes no part in this run: {}", self.name(), self.error)
    }
}

/// A cloud, and the days that it has of the selected types.
pub struct CloudDays {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Each type's days, ascending.
    pub days: HashMap<TypeName, Vec<Date>>,
    /// The types whose days the cloud refuses to list; a day of them is found out about by its own listing.
    pub untold: HashSet<TypeName>,
}

impl CloudDays {
    /// Whether the cloud has a folder for the partition; `None` where it does not tell.
    pub fn has(&self, partition: &Partition) -> Option<bool> {
        if self.untold.contains(&partition.type_name) {
            return None;
        }
        Some(self.days.get(&partition.type_name).is_some_and(|days| days.binary_search(&partition.date).is_ok()))
    }
}
