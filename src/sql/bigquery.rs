//! BigQuery: external tables over the files.

use super::schema::{Column, ColumnKind};
use super::{Table, TableNames, listed, quote};

/// The data set where none is named: BigQuery has no default in a statement.
const DATA_SET: &str = "YOUR_DATASET";

/// What stands above all statements.
pub fn header(names: &TableNames) -> String {
    let data_set =
        if names.schema.is_none() { "-- Put your data set in for YOUR_DATASET, or give --schema.\n" } else { "" };
    format!(
        "-- BigQuery: external tables; new days are in them at once. The data set must be where the bucket is.
-- The value of the folder below the day may be escaped (%3A for a colon); event_name and
-- experiment_id have the true one. A column that old files lack is NULL.
{data_set}"
    )
}

/// An external table.
pub fn table(table: &Table<'_>) -> String {
    let name = match table.names.schema {
        Some(_) => table.quoted('`'),
        None => quote::name(&[DATA_SET, &table.name], '`'),
    };
    format!(
        "CREATE OR REPLACE EXTERNAL TABLE {name} (
{columns}
)
WITH PARTITION COLUMNS (
{folders}
)
OPTIONS (
    format = 'PARQUET',
    uris = [{files}],
    hive_partition_uri_prefix = {folder},
    enable_list_inference = true
);
",
        columns = listed(table.layout.columns.iter().map(definition), "    "),
        folders = listed(table.layout.folder_columns().iter().map(definition), "    "),
        files = quote::backslashed(&format!("{}/*.parquet", table.folder())),
        folder = quote::backslashed(&table.folder()),
    )
}

fn definition(column: &Column) -> String {
    format!("`{}` {}", column.name, kind(column.kind))
}

fn kind(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "STRING".to_owned(),
        ColumnKind::Instant => "TIMESTAMP".to_owned(),
        ColumnKind::Integer => "INT64".to_owned(),
        ColumnKind::Double => "FLOAT64".to_owned(),
        ColumnKind::Boolean => "BOOL".to_owned(),
        ColumnKind::Day => "DATE".to_owned(),
        // What BigQuery makes of a map in Parquet.
        ColumnKind::TextMap => "STRUCT<key_value ARRAY<STRUCT<key STRING, value STRING>>>".to_owned(),
        ColumnKind::Structures(fields) => {
            format!("ARRAY<STRUCT<{}>>", fields.iter().map(definition).collect::<Vec<_>>().join(", "))
        }
    }
}
