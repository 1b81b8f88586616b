//! What people read a mirror with finds every row once.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use e3sync::simulator::Cloud;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::harness::{Export, Python, manifest_lines, python};

/// Rows by day.
pub type Rows = BTreeMap<String, u64>;

const PYARROW: &str = "
import json, sys
import pyarrow.dataset
table = pyarrow.dataset.dataset(sys.argv[1], partitioning='hive').to_table(columns=['date'])
counts = table.group_by('date').aggregate([([], 'count_all')]).to_pydict()
print(json.dumps(dict(zip(map(str, counts['date']), counts['count_all']))))
";

const DUCKDB: &str = "
import duckdb, json, sys
files = f'{sys.argv[1]}/**/*.parquet'
counts = duckdb.execute('select date, count(*) from read_parquet(?, hive_partitioning = true) group by date', [files])
print(json.dumps({str(date): rows for date, rows in counts.fetchall()}))
";

const POLARS: &str = "
import json, sys
import polars
counts = polars.scan_parquet(sys.argv[1], hive_partitioning=True).group_by('date').len().collect()
print(json.dumps({str(date): rows for date, rows in counts.rows()}))
";

const MANIFEST: &str = "
import duckdb, json, sys
manifest = duckdb.read_json(sys.argv[1], format='newline_delimited')
print(json.dumps(manifest.filter('key is not null').aggregate('count(*), sum(rows)::bigint').fetchall()[0]))
";

#[test]
fn pyarrow_duckdb_and_polars_find_every_row() {
    let Some(python) = python() else { return };
    let export = Export::of_parquet(2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    for type_name in ["decisions", "events"] {
        let expected = simulated(&export, type_name);
        assert_eq!(expected.len(), 2);
        assert_eq!(manifested(&export, folder.path(), type_name), expected, "by the manifests");
        let below = folder.path().join(format!("type={type_name}"));
        for (reader, code) in [("pyarrow", PYARROW), ("DuckDB", DUCKDB), ("polars", POLARS)] {
            assert_eq!(read(python, code, &below), expected, "{type_name} by {reader}");
        }
    }
}

#[test]
fn duckdb_reads_a_manifest() {
    let Some(python) = python() else { return };
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    for type_name in ["decisions", "events"] {
        let partition = format!("type={type_name}/date={}", export.dates()[0]);
        let header = &manifest_lines(folder.path(), &partition)[0];
        let path = folder.path().join("_e3sync/manifests").join(partition + ".jsonl");
        let (objects, rows): (u64, u64) = serde_json::from_str(&python.eval(MANIFEST, [path])).unwrap();
        assert_eq!((header["objects"].as_u64(), header["rows"].as_u64()), (Some(objects), Some(rows)));
    }
}

fn read(python: &Python, code: &str, folder: &Path) -> Rows {
    serde_json::from_str(&python.eval(code, [folder])).unwrap()
}

/// The rows that the simulator serves, by the footers of its files.
pub fn simulated(export: &Export, type_name: &str) -> Rows {
    let rows = |bytes: Bytes| {
        let reader = SerializedFileReader::new(bytes).unwrap();
        u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap()
    };
    let of_day = |date| {
        let objects = export.simulator().account().objects(Cloud::S3, type_name, date);
        let data = objects.iter().filter(|(key, _)| key.ends_with(".parquet"));
        data.map(|(_, object)| rows(object.read(0..u64::MAX))).sum()
    };
    export.dates().into_iter().map(|date| (date.to_string(), of_day(date))).collect()
}

fn manifested(export: &Export, destination: &Path, type_name: &str) -> Rows {
    let rows = |date: &str| manifest_lines(destination, &format!("type={type_name}/date={date}"))[0]["rows"].as_u64();
    export.dates().iter().map(|date| (date.to_string(), rows(&date.to_string()).unwrap())).collect()
}
