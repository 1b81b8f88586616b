use std::io::Write as _;
use std::process::Stdio;

use super::text::{Document, all};
use crate::harness::{E3sync, Export, output_of, python};

/// The dialects whose statements are only parsed: all but Spark need an account, and Spark's need a
/// bucket. What `e3sync sql spark` prints is run by `sparks_statements_give_every_row_once_with_the_right_types`.
const PARSED: [&str; 5] = ["spark", "athena", "bigquery", "snowflake", "redshift"];

/// Whether blocks of this language are run or parsed by a test: `sql` is DuckDB's, and is run.
pub fn is_checked(language: &str) -> bool {
    language == "sql" || language.strip_prefix("sql ").is_some_and(|dialect| PARSED.contains(&dialect))
}

/// The blocks of a language, in their order.
fn blocks(document: &Document, language: &str) -> Vec<String> {
    let blocks = document.blocks().into_iter().filter(|block| block.language == language);
    blocks.map(|block| block.text).collect()
}

#[test]
fn every_statement_shown_for_duckdb_runs() {
    let Some(python) = python() else { return };
    let export = Export::of_parquet(3);
    let folder = tempfile::tempdir().unwrap();
    export.sync(&folder.path().join("events")).run().expect(0);
    let views = E3sync::new("sql").arg("duckdb").arg(folder.path().join("events")).run().expect(0).stdout;
    for document in all() {
        let mut blocks = blocks(&document, "sql");
        // A load that may run as often as it likes is run twice.
        blocks.extend(blocks.clone());
        let blocks = [vec![views.clone()], blocks].concat();
        output_of(python.script("sql_blocks.py").args(blocks).current_dir(folder.path()));
    }
}

#[test]
fn every_statement_shown_for_another_engine_is_parsed() {
    let Some(python) = python() else { return };
    let mut count = 0;
    for document in all() {
        for dialect in PARSED {
            for block in blocks(&document, &format!("sql {dialect}")) {
                let mut parser = python.script("sql_parse.py");
                let mut parser = parser.arg(dialect).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
                parser.stdin.take().unwrap().write_all(block.as_bytes()).unwrap();
                assert!(parser.wait().unwrap().success(), "{}: {block}", document.path);
                count += 1;
            }
        }
    }
    assert!(count >= PARSED.len(), "the documents show something for each");
}
