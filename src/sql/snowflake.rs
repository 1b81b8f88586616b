//! Snowflake: a storage integration to fill in, a stage and an external table for each type.

use super::place::Root;
use super::schema::{Column, ColumnKind};
use super::{Table, listed, quote};

/// What stands above all statements, the storage integration among it.
pub fn header(root: &Root) -> String {
    let (provider, role) = match root {
        Root::Gcs(_) => ("GCS", ""),
        Root::S3(_) | Root::Directory(_) => {
            ("S3", "\n    STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::YOUR-ACCOUNT:role/YOUR-ROLE'")
        }
    };
    format!(
        "-- Snowflake: external tables. The integration is an administrator's work, done once; fill its role in,
-- then DESCRIBE INTEGRATION e3sync tells whom to trust in the cloud.
-- New and rewritten days come in with ALTER EXTERNAL TABLE ... REFRESH, after each run of e3sync.
-- \"value\" is a column of the export, and VALUE is Snowflake's own: the whole row.
-- The value of the folder below the day is escaped (%3A for a colon); event_name and experiment_id
-- have the true one. A column that old files lack is NULL.
CREATE STORAGE INTEGRATION IF NOT EXISTS e3sync
    TYPE = EXTERNAL_STAGE
    STORAGE_PROVIDER = '{provider}'
    ENABLED = TRUE{role}
    STORAGE_ALLOWED_LOCATIONS = ({location});
",
        location = quote::backslashed(&root.below(""))
    )
}

/// A stage at the type's folder, and an external table over it.
pub fn table(table: &Table<'_>) -> String {
    let stage = table.names.quoted(&format!("{}_stage", table.name), '"').to_ascii_uppercase();
    let [day, sub_partition] = table.layout.folder_columns().map(|column| name(&column));
    let columns = table.layout.columns.iter().map(definition).chain([
        format!("{day} DATE AS (TO_DATE({}, 'YYYY-MM-DD'))", day_of_path(table)),
        format!("{sub_partition} VARCHAR AS ({})", sub_partition_of_path(table)),
    ]);
    format!(
        "CREATE OR REPLACE STAGE {stage}
    URL = {url}
    STORAGE_INTEGRATION = e3sync;

CREATE OR REPLACE EXTERNAL TABLE {name} (
{columns}
)
PARTITION BY ({day}, {sub_partition})
LOCATION = @{stage}
REFRESH_ON_CREATE = TRUE
AUTO_REFRESH = FALSE
PATTERN = '.*[.]parquet'
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE);
",
        url = quote::backslashed(&format!("{}/", table.folder())),
        name = table.quoted('"').to_ascii_uppercase(),
        columns = listed(columns, "    "),
    )
}

/// Names are as Snowflake has them without quotation marks, but for the one that it takes itself.
fn name(column: &Column) -> String {
    if column.name == "value" { "\"value\"".to_owned() } else { format!("\"{}\"", column.name.to_ascii_uppercase()) }
}

fn definition(column: &Column) -> String {
    let kind = kind(column.kind);
    format!("{} {kind} AS (value:\"{}\"::{kind})", name(column), column.name)
}

/// The path begins at the bucket, and the prefix may have folders that look like ours, so the type's
/// own folder is looked for.
fn day_of_path(table: &Table<'_>) -> String {
    let before = quote::backslashed(&format!("{}/date=", table.mirrored.name.folder()));
    format!("SPLIT_PART(SPLIT_PART(metadata$filename, {before}, 2), '/', 1)")
}

fn sub_partition_of_path(table: &Table<'_>) -> String {
    let before = quote::backslashed(&format!("/{}=", table.layout.sub_partition));
    format!("SPLIT_PART(SPLIT_PART(metadata$filename, {before}, 2), '/', 1)")
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "VARCHAR",
        ColumnKind::Instant => "TIMESTAMP_NTZ",
        ColumnKind::Integer => "NUMBER(38, 0)",
        ColumnKind::Double => "DOUBLE",
        ColumnKind::Boolean => "BOOLEAN",
        ColumnKind::Day => "DATE",
        ColumnKind::Structures(_) | ColumnKind::TextMap => "VARIANT",
    }
}
