//! DuckDB: views over the files.

use super::place::Root;
use super::schema::{Column, ColumnKind};
use super::{Table, listed, quote};

const HEADER: &str = "\
-- DuckDB: views that read the files at each query, so new days are in them at once.
-- A column that old files lack is NULL; one that the export gains is added below by hand.
";

/// What stands above all statements.
pub fn header(root: &Root) -> String {
    let access = match root {
        Root::Directory(_) => "",
        Root::S3(_) => "-- Once in a session: CREATE SECRET (TYPE s3, PROVIDER credential_chain);\n",
        Root::Gcs(_) => {
            "-- Once in a session: CREATE SECRET (TYPE gcs, KEY_ID 'YOUR-HMAC-KEY', SECRET 'ITS-SECRET');\n"
        }
    };
    format!("{HEADER}{access}")
}

/// A view. The empty relation before the files names and types every known column: that makes a
/// column which all files lack NULL, where reading it would be an error, and keeps ids text.
pub fn table(table: &Table<'_>) -> String {
    let files = format!("{}/**/*.parquet", quote::without_patterns_by_brackets(&table.folder()));
    let columns = || table.layout.all_columns();
    format!(
        "CREATE OR REPLACE VIEW {name} AS
SELECT
{selected}
FROM (
    SELECT
{typed}
    WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet(
        {files},
        hive_partitioning = true, hive_types = {{{types}}}, union_by_name = true)
);
",
        name = table.quoted('"'),
        selected = listed(columns().map(|column| quoted(&column)), "    "),
        typed =
            listed(columns().map(|column| format!("NULL::{} AS {}", kind(column.kind), quoted(&column))), "        "),
        files = quote::doubled(&files),
        types = folder_types(table),
    )
}

fn quoted(column: &Column) -> String {
    quote::name(&[column.name], '"')
}

/// The types of the folders' values. An undocumented type may have no such folder below its days,
/// and naming the type of a folder that is not there is an error.
fn folder_types(table: &Table<'_>) -> String {
    let is_certain = |column: &Column| table.layout.is_documented || column.kind == ColumnKind::Day;
    let columns = table.layout.folder_columns().into_iter().filter(is_certain);
    let types: Vec<String> = columns.map(|column| format!("'{}': {}", column.name, kind(column.kind))).collect();
    types.join(", ")
}

fn kind(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "VARCHAR".to_owned(),
        ColumnKind::Instant => "TIMESTAMP".to_owned(),
        ColumnKind::Integer => "BIGINT".to_owned(),
        ColumnKind::Double => "DOUBLE".to_owned(),
        ColumnKind::Boolean => "BOOLEAN".to_owned(),
        ColumnKind::Day => "DATE".to_owned(),
        ColumnKind::TextMap => "MAP(VARCHAR, VARCHAR)".to_owned(),
        ColumnKind::Structures(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", quoted(field), self::kind(field.kind)));
            format!("STRUCT({})[]", fields.collect::<Vec<_>>().join(", "))
        }
    }
}
