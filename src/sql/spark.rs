//! Spark: tables over the files, without partitions in a catalogue.

use super::place::Root;
use super::schema::{Column, ColumnKind};
use super::{Table, listed, quote};

const HEADER: &str = "\
-- Spark: tables that find days and folders by themselves, without MSCK REPAIR TABLE. A session that has
-- read one sees new and rewritten days after REFRESH TABLE. Set spark.sql.session.timeZone to UTC to see
-- timestamps in UTC. A column that old files lack is NULL.
-- A table that is there already stays as it is; after DROP TABLE, which leaves the files, it is made anew.
";

/// What stands above all statements.
pub fn header(root: &Root) -> String {
    let scheme = match root {
        Root::S3(_) => "-- On EMR and Databricks write s3:// instead of s3a://.\n",
        Root::Gcs(_) | Root::Directory(_) => "",
    };
    format!("{HEADER}{scheme}")
}

/// A table. Spark finds the folders' columns by itself where no partitions are declared, and takes
/// their types from the list; declared ones would have to be added to the catalogue day by day.
pub fn table(table: &Table<'_>) -> String {
    let folder = quote::without_patterns_by_backslashes(&table.folder());
    let name = table.quoted('`');
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (
{columns}
)
USING parquet
OPTIONS (path {folder});
",
        columns = listed(table.layout.all_columns().map(|column| definition(&column, ' ')), "    "),
        folder = quote::backslashed(&folder),
    )
}

fn definition(column: &Column, separator: char) -> String {
    format!("`{}`{separator}{}", column.name, kind(column.kind))
}

fn kind(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "STRING".to_owned(),
        ColumnKind::Instant => "TIMESTAMP".to_owned(),
        ColumnKind::Integer => "BIGINT".to_owned(),
        ColumnKind::Double => "DOUBLE".to_owned(),
        ColumnKind::Boolean => "BOOLEAN".to_owned(),
        ColumnKind::Day => "DATE".to_owned(),
        ColumnKind::TextMap => "MAP<STRING, STRING>".to_owned(),
        ColumnKind::Structures(fields) => {
            let fields = fields.iter().map(|field| definition(field, ':'));
            format!("ARRAY<STRUCT<{}>>", fields.collect::<Vec<_>>().join(", "))
        }
    }
}
