//! Athena: an external table over the files, and a view that adds the sub-partition.

use jiff::civil::{Date, date};

use super::schema::ColumnKind;
use super::{Table, TableNames, listed, quote};

/// The first day that Athena looks for, unless an older one is published: rather too early, which
/// costs a query without days some listings, than too late, which would hide data.
const FIRST_DAY: Date = date(2020, 1, 1);

/// What stands above all statements.
pub fn header(names: &TableNames) -> String {
    let database = if names.schema.is_none() { "-- They go into the database that you have chosen.\n" } else { "" };
    format!(
        "-- Athena: run the statements one by one. The days are projected, so new ones are there at once,
-- without MSCK REPAIR TABLE. \"date\" is text, as projection makes it: WHERE \"date\" >= '2026-11-01'.
-- Columns are found by name; one that old files lack is NULL.
-- A table that is there already stays as it is; after DROP TABLE, which leaves the files, it is made anew.
{database}"
    )
}

/// An external table with the files' columns, and the view for queries.
pub fn table(table: &Table<'_>) -> String {
    let files = format!("{}_files", table.name);
    let first_day = table.mirrored.first_day.unwrap_or(FIRST_DAY).min(FIRST_DAY);
    format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {name} (
{columns}
)
PARTITIONED BY (`date` string)
STORED AS PARQUET
LOCATION {location}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.date.type' = 'date',
    'projection.date.format' = 'yyyy-MM-dd',
    'projection.date.range' = '{first_day},NOW',
    'projection.date.interval' = '1',
    'projection.date.interval.unit' = 'DAYS'
);

{view}",
        name = table.names.quoted(&files, '`'),
        columns = listed(
            table.layout.columns.iter().map(|column| format!("`{}` {}", column.name, kind(column.kind))),
            "    "
        ),
        location = quote::backslashed(&format!("{}/", table.folder())),
        view = view(table, &files),
    )
}

/// The folder below the day is no partition column, because a projected one would have to be named
/// in every query. Its value is escaped as Hive escapes it, where `+` stands for itself.
fn view(table: &Table<'_>, files: &str) -> String {
    let sub_partition = table.layout.sub_partition;
    let names = table.layout.columns.iter().map(|column| column.name).chain(["date"]);
    let folder = format!("regexp_extract(\"$path\", '/{sub_partition}=([^/]+)/', 1)");
    format!(
        "CREATE OR REPLACE VIEW {name} AS
SELECT
{columns},
    nullif(coalesce(try(url_decode(replace({folder}, '+', '%2B'))), {folder}), '__HIVE_DEFAULT_PARTITION__') AS \"{sub_partition}\"
FROM {files};
",
        name = table.quoted('"'),
        columns = listed(names.map(|name| format!("\"{name}\"")), "    "),
        files = table.names.quoted(files, '"'),
    )
}

fn kind(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "string".to_owned(),
        ColumnKind::Instant => "timestamp".to_owned(),
        ColumnKind::Integer => "bigint".to_owned(),
        ColumnKind::Double => "double".to_owned(),
        ColumnKind::Boolean => "boolean".to_owned(),
        ColumnKind::Day => "date".to_owned(),
        ColumnKind::TextMap => "map<string,string>".to_owned(),
        ColumnKind::Structures(fields) => {
            let fields = fields.iter().map(|field| format!("{}:{}", field.name, self::kind(field.kind)));
            format!("array<struct<{}>>", fields.collect::<Vec<_>>().join(","))
        }
    }
}
