//! The columns of the export, once for all engines (domain.md section 3).

use crate::export::TypeName;

/// What a column holds, in no engine's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text. Ids are text: they may begin with zeros, and nobody adds them up.
    Text,
    /// An instant in UTC; the files have milliseconds in 64 bits.
    Instant,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Double,
    /// True or false.
    Boolean,
    /// A day; only a folder's value is one.
    Day,
    /// A list of structures.
    Structures(&'static [Column]),
    /// A map from text to text.
    TextMap,
}

/// A column, or a field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

const fn column(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind }
}

const ATTRIBUTE: &[Column] = &[
    column("id", ColumnKind::Text),
    column("name", ColumnKind::Text),
    column("type", ColumnKind::Text),
    column("value", ColumnKind::Text),
];

const EXPERIMENT: &[Column] = &[
    column("campaign_id", ColumnKind::Text),
    column("experiment_id", ColumnKind::Text),
    column("variation_id", ColumnKind::Text),
    column("is_holdback", ColumnKind::Boolean),
];

const DECISIONS: &[Column] = &[
    column("uuid", ColumnKind::Text),
    column("timestamp", ColumnKind::Instant),
    column("process_timestamp", ColumnKind::Instant),
    column("visitor_id", ColumnKind::Text),
    column("session_id", ColumnKind::Text),
    column("account_id", ColumnKind::Text),
    column("campaign_id", ColumnKind::Text),
    column("experiment_id", ColumnKind::Text),
    column("variation_id", ColumnKind::Text),
    column("attributes", ColumnKind::Structures(ATTRIBUTE)),
    column("user_ip", ColumnKind::Text),
    column("user_agent", ColumnKind::Text),
    column("referer", ColumnKind::Text),
    column("is_holdback", ColumnKind::Boolean),
    column("revision", ColumnKind::Text),
    column("client_engine", ColumnKind::Text),
    column("client_version", ColumnKind::Text),
];

const CONVERSIONS: &[Column] = &[
    column("uuid", ColumnKind::Text),
    column("timestamp", ColumnKind::Instant),
    column("process_timestamp", ColumnKind::Instant),
    column("visitor_id", ColumnKind::Text),
    column("session_id", ColumnKind::Text),
    column("account_id", ColumnKind::Text),
    column("experiments", ColumnKind::Structures(EXPERIMENT)),
    column("entity_id", ColumnKind::Text),
    column("attributes", ColumnKind::Structures(ATTRIBUTE)),
    column("user_ip", ColumnKind::Text),
    column("user_agent", ColumnKind::Text),
    column("referer", ColumnKind::Text),
    column("event_type", ColumnKind::Text),
    column("event_name", ColumnKind::Text),
    column("revenue", ColumnKind::Integer),
    column("value", ColumnKind::Double),
    column("quantity", ColumnKind::Integer),
    column("tags", ColumnKind::TextMap),
    column("revision", ColumnKind::Text),
    column("client_engine", ColumnKind::Text),
    column("client_version", ColumnKind::Text),
];

/// What is known of the files of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLayout {
    /// The columns inside the files.
    pub columns: &'static [Column],
    /// The folder below the day, `experiment` or `event`, which is a column of text too.
    pub sub_partition: &'static str,
    /// Whether the vendor documents the type; else the nearest documented one is assumed.
    pub is_documented: bool,
}

impl TableLayout {
    /// The layout of a type. `decisions-rerun` was seen and holds decisions; all else holds what
    /// `events` holds.
    pub fn of(type_name: &TypeName) -> Self {
        let is_documented = TypeName::DOCUMENTED.contains(&type_name.as_str());
        if type_name.as_str().starts_with("decisions") {
            Self { columns: DECISIONS, sub_partition: "experiment", is_documented }
        } else {
            Self { columns: CONVERSIONS, sub_partition: "event", is_documented }
        }
    }

    /// The columns of the files and then those of the folders, the day and the sub-partition.
    pub fn all_columns(&self) -> impl Iterator<Item = Column> {
        self.columns.iter().copied().chain(self.folder_columns())
    }

    /// The columns that only the folders' names have.
    pub fn folder_columns(&self) -> [Column; 2] {
        [column("date", ColumnKind::Day), column(self.sub_partition, ColumnKind::Text)]
    }
}
