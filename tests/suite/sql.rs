//! The statements of `e3sync sql`: run where the engine runs here, parsed by somebody else's parser
//! where it does not, and as reviewed everywhere.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{E3sync, Export, Python, java, manifest_lines, output_of, python, sample};

const ENGINES: [&str; 5] = ["duckdb", "athena", "bigquery", "snowflake", "spark"];

/// A path that breaks whatever does not quote: for literals, for patterns, for both.
const ODD_PATH: &str = "it's an \"odd\" [place] {a,b} $x * %41";

/// The statements for a destination, in a file.
fn statements(engine: &str, destination: &Path, folder: &Path, arguments: &[&str]) -> PathBuf {
    let finished = E3sync::new("sql").arg(engine).arg(destination).args(arguments).run().expect(0);
    let path = folder.join(format!("{engine}-{}.sql", arguments.join("")));
    std::fs::write(&path, finished.stdout).unwrap();
    path
}

/// Rows by day, by the manifests of a mirror.
fn manifested(mirror: &Path, type_name: &str) -> BTreeMap<String, u64> {
    let folder = mirror.join("_e3sync/manifests").join(format!("type={type_name}"));
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let rows = |name: &str| manifest_lines(mirror, &format!("type={type_name}/{name}"))[0]["rows"].as_u64().unwrap();
    let days = names.map(|name| name.strip_suffix(".jsonl").unwrap().to_owned());
    days.map(|name| (name.trim_start_matches("date=").to_owned(), rows(&name))).collect()
}

/// Everything of the statements that run here, for one engine, which is started once.
fn the_statements_give_every_row(engine: &str, python: &Python, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let export = Export::of_parquet(2);
    let mirror = folder.path().join(ODD_PATH);
    export.sync(&mirror).run().expect(0);
    let drifted = folder.path().join("drifted");
    output_of(python.script("sql_drift.py").arg(&drifted));
    let mut files = vec![
        statements(engine, &mirror, folder.path(), &[]),
        statements(engine, &drifted, folder.path(), &["--type", "decisions", "--prefix", "drifted_"]),
    ];
    let sample = sample();
    if let Some(sample) = &sample {
        files.push(statements(engine, sample, folder.path(), &["--type", "decisions,events", "--prefix", "sample_"]));
    }
    let told = output_of(python.script("sql_run.py").arg(engine).args(files));
    let tables: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    for type_name in ["decisions", "events"] {
        let rows: BTreeMap<String, u64> = serde_json::from_value(tables[type_name]["rows"].clone()).unwrap();
        assert_eq!(rows, manifested(&mirror, type_name), "{type_name} by {engine}");
        assert_eq!(tables[type_name]["folders_that_differ_from_the_files"], 0, "{type_name} by {engine}");
        assert!(tables[type_name]["first"].as_str().unwrap().starts_with("2026-11-1"), "{}", tables[type_name]);
    }
    assert_types(&tables, text);
    let drifted = &tables["drifted_decisions"];
    assert_eq!(drifted["rows"]["2026-11-20"], 3, "a column more or less does not matter");
    assert_eq!(drifted["folders"], serde_json::json!(["0012", "7"]), "zeros in front are kept");
    assert_eq!(drifted["columns"], tables["decisions"]["columns"]);
    if sample.is_some() {
        assert_eq!(tables["sample_decisions"]["rows"], serde_json::json!({"2020-09-14": 10_000}));
        assert_eq!(tables["sample_events"]["folders_that_differ_from_the_files"], 0);
        assert_eq!(tables["sample_events"]["columns"], tables["events"]["columns"]);
    }
}

fn assert_types(tables: &Value, text: &str) {
    for (table, column) in [
        ("decisions", "experiment_id"),
        ("decisions", "experiment"),
        ("decisions", "campaign_id"),
        ("decisions", "variation_id"),
        ("events", "entity_id"),
        ("events", "event"),
    ] {
        assert_eq!(tables[table]["columns"][column], text, "{column}");
    }
    for (column, kind) in [("date", "date"), ("timestamp", "timestamp"), ("revenue", "bigint"), ("value", "double")] {
        assert_eq!(tables["events"]["columns"][column].as_str().unwrap().to_lowercase(), kind, "{column}");
    }
}

#[test]
fn duckdbs_statements_give_every_row_once_with_the_right_types() {
    let Some(python) = python() else { return };
    the_statements_give_every_row("duckdb", python, "VARCHAR");
}

#[test]
fn sparks_statements_give_every_row_once_with_the_right_types() {
    let Some(python) = python() else { return };
    if java() {
        the_statements_give_every_row("spark", python, "string");
    }
}

/// The literals that another parser finds in the statements of an engine.
fn literals(python: &Python, engine: &str, statements: &str) -> Vec<String> {
    let mut parser: Command = python.script("sql_parse.py");
    let mut parser = parser.arg(engine).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{statements}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn another_parser_reads_the_statements_and_finds_the_odd_address() {
    let Some(python) = python() else { return };
    let odd = "it's an \"odd\" prefix/\\ $x %41";
    for (engine, scheme, shown, ending) in [
        ("duckdb", "s3", "s3", "/**/*.parquet"),
        ("athena", "s3", "s3", "/"),
        ("bigquery", "gs", "gs", "/*.parquet"),
        ("snowflake", "s3", "s3", "/"),
        ("snowflake", "gs", "gcs", "/"),
        ("spark", "gs", "gs", ""),
    ] {
        // DuckDB can hold no backslash in a path, and says so.
        let odd = if engine == "duckdb" { odd.replace('\\', "") } else { odd.to_owned() };
        let destination = format!("{scheme}://my-lake/{odd}");
        let types = ["--type", "decisions,events,decisions-rerun", "--schema", "my-project.raw"];
        let finished = E3sync::new("sql").args([engine, &destination]).args(types).run().expect(0);
        let found = literals(python, engine, &finished.stdout);
        for type_name in ["decisions", "events", "decisions-rerun"] {
            let prefix = if engine == "spark" { odd.replace('\\', "\\\\") } else { odd.clone() };
            let address = format!("{shown}://my-lake/{prefix}/type={type_name}{ending}");
            assert!(found.contains(&address), "{engine}: {address} is not among {found:?}");
        }
    }
}

#[test]
fn statements_are_as_reviewed() {
    for engine in ENGINES {
        let types = ["--type", "decisions,events,decisions-rerun"];
        let found = E3sync::new("sql").arg(engine).args(types).run().expect(0).stdout;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/suite/snapshots/sql-{engine}.sql"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, reviewed, "look at it, then run again with UPDATE_SNAPSHOTS=1: {}", path.display());
    }
}

#[test]
fn published_types_get_tables_and_others_are_told() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types.push("decisions-rerun".into());
    });
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror");
    let sql = || E3sync::new("sql").arg("duckdb").env("E3SYNC_DEST", mirror.to_str().unwrap());
    sql().run().expect(0).says("is no mirror yet");
    export.sync(&mirror).args(["--type", "events,decisions-rerun"]).run().expect(0);
    let found = sql().args(["--prefix", "E3_", "--schema", "raw"]).run().expect(0).stdout;
    assert!(found.contains("VIEW \"raw\".\"e3_events\"") && found.contains("VIEW \"raw\".\"e3_decisions_rerun\""));
    assert!(!found.contains("\"e3_decisions\""), "it is not published");
    assert!(found.contains("-- decisions-rerun: the vendor does not document it"));
    let unnamed = E3sync::new("sql").arg("bigquery").run().expect(0).stdout;
    assert!(unnamed.contains("'gs://YOUR-BUCKET/PREFIX/type=events/*.parquet'"), "{unnamed}");
    for (arguments, text) in [
        (vec!["athena", "./events"], "Athena cannot read a directory"),
        (vec!["bigquery", "s3://my-lake/x"], "BigQuery cannot read S3"),
        (vec!["spark", "--prefix", "a`b"], "cannot be the value of --prefix"),
        (vec!["duckdb", "./a\\b"], "DuckDB cannot read a path with a backslash"),
        (vec!["oracle"], "invalid value 'oracle'"),
    ] {
        E3sync::new("sql").args(&arguments).run().expect(2).says(text);
    }
}
