use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::Source;
use crate::export::{ExportLocation, Partition, TypeName};

/// One cloud that holds the account's export.
pub struct Cloud {
    /// Where in the cloud.
    pub location: ExportLocation,
    /// The way to it.
    pub source: Arc<dyn Source>,
}

/// A cloud, and the days that it has of the selected types.
pub struct CloudDays {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Each type's days, ascending.
    pub days: HashMap<TypeName, Vec<Date>>,
}

impl CloudDays {
    /// Whether the cloud has a folder for the partition.
    pub fn has(&self, partition: &Partition) -> bool {
        self.days.get(&partition.type_name).is_some_and(|days| days.binary_search(&partition.date).is_ok())
    }
}
