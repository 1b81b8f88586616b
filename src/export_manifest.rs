//! The verb `export-manifest`: what is published, in the forms that other tools take.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::destination::PublishedFiles;
use crate::error::{Error, ErrorKind};
use crate::export::{Partition, Scope};
use crate::manifest::Entry;

/// A form that other tools take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A path or address on each line.
    Uris,
    /// What `sha256sum -c` reads.
    Sha256sums,
    /// The manifest of Redshift's `COPY … MANIFEST`.
    Redshift,
    /// What stands behind `FILES =` in Snowflake's `COPY INTO`: a list in parentheses on each line, of
    /// names relative to a stage at the destination.
    Snowflake,
    /// A table with a header.
    Csv,
    /// A JSON document on each line.
    Json,
}

/// Maximum number of files in one `COPY INTO` of Snowflake's.
const SNOWFLAKE_FILES_MAX: u64 = 1000;

/// What went wrong while exporting.
#[derive(Debug)]
pub enum ExportError {
    /// What is published cannot be read.
    Unreadable(Error),
    /// It cannot be written, most likely because nobody reads on.
    Unwritable(io::Error),
}

impl From<Error> for ExportError {
    fn from(error: Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Unwritable(error)
    }
}

/// Writes what is published of the partitions, as far as `scope` selects it.
///
/// # Errors
/// A manifest that cannot be read; an output that cannot be written; [`ErrorKind::Usage`] for a name
/// that the form cannot hold.
pub async fn export(
    files: &dyn PublishedFiles,
    partitions: &[Partition],
    scope: &Scope,
    form: Form,
    output: &mut (impl Write + Send),
) -> std::result::Result<(), ExportError> {
    let mut exporter = Exporter { form, entries: 0, output };
    exporter.begin()?;
    for partition in partitions {
        let Some(manifest) = files.manifest(partition).await? else { continue };
        for entry in manifest.entries()? {
            let entry = entry?;
            if scope.matches(&entry.key) {
                let address = files.address(partition, entry.file_path());
                exporter.write(partition, &entry, &address)?;
            }
        }
    }
    exporter.end()?;
    Ok(())
}

struct Exporter<'a, W> {
    form: Form,
    entries: u64,
    output: &'a mut W,
}

impl<W: Write> Exporter<'_, W> {
    fn begin(&mut self) -> io::Result<()> {
        self.output.write_all(match self.form {
            Form::Redshift => b"{\"entries\": [",
            Form::Csv => b"type,date,key,path,size_bytes,sha256,rows,source_etag\r\n",
            Form::Uris | Form::Sha256sums | Form::Snowflake | Form::Json => b"",
        })
    }

    fn write(&mut self, partition: &Partition, entry: &Entry, address: &str) -> std::result::Result<(), ExportError> {
        let output = &mut *self.output;
        match self.form {
            Form::Uris if address.contains(['\n', '\r']) => return Err(two_lines(address).into()),
            Form::Uris => writeln!(output, "{address}")?,
            Form::Sha256sums => writeln!(output, "{}", sha256sum_line(entry, address))?,
            Form::Redshift => {
                let separator = if self.entries == 0 { "\n" } else { ",\n" };
                let line = json!({ "url": address, "mandatory": true, "meta": { "content_length": entry.size_bytes } });
                write!(output, "{separator}{line}")?;
            }
            Form::Snowflake => {
                let separator = match self.entries % SNOWFLAKE_FILES_MAX {
                    0 if self.entries == 0 => "(",
                    0 => ")\n(",
                    _ => ", ",
                };
                // Names in FILES are relative to the stage, which is at the destination.
                let path = format!("{}{}", partition.prefix(), entry.file_path());
                write!(output, "{separator}{}", quoted_for_sql(&path))?;
            }
            Form::Csv => write_csv(output, partition, entry, address)?,
            Form::Json => writeln!(output, "{}", json_line(partition, entry, address))?,
        }
        self.entries += 1;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.output.write_all(match self.form {
            Form::Redshift => b"\n]}\n",
            Form::Snowflake if self.entries > 0 => b")\n",
            Form::Uris | Form::Sha256sums | Form::Csv | Form::Json | Form::Snowflake => b"",
        })?;
        self.output.flush()
    }
}

fn json_line(partition: &Partition, entry: &Entry, address: &str) -> Value {
    json!({
        "schema": 1, "event": "file", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
        "key": entry.key, "path": address, "size_bytes": entry.size_bytes, "sha256": entry.sha256.to_string(),
        "rows": entry.rows, "source_etag": source_version(entry),
    })
}

fn two_lines(address: &str) -> Error {
    let name = crate::export::printable(address).into_owned();
    Error::new(ErrorKind::Usage, format!("`{name}` has the end of a line in its name"))
        .with_hint("a list with a name on each line cannot hold it; json, csv and sha256sums can")
}

/// A line of `sha256sum`; one that begins with a backslash has escapes in its name.
fn sha256sum_line(entry: &Entry, address: &str) -> String {
    // Only a carriage return at the end would be lost; older versions know no escape for it.
    if !address.contains(['\n', '\\']) && !address.ends_with('\r') {
        return format!("{}  {address}", entry.sha256);
    }
    let escaped = address.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    format!("\\{}  {escaped}", entry.sha256)
}

/// A string literal of Snowflake's, in which a backslash begins an escape.
fn quoted_for_sql(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{escaped}'")
}

fn source_version(entry: &Entry) -> Option<String> {
    entry.etag.clone().or_else(|| entry.generation.map(|generation| generation.to_string()))
}

fn write_csv(output: &mut impl Write, partition: &Partition, entry: &Entry, address: &str) -> io::Result<()> {
    let rows = entry.rows.map_or_else(String::new, |rows| rows.to_string());
    let fields = [
        partition.type_name.as_str().to_owned(),
        partition.date.to_string(),
        entry.key.clone(),
        address.to_owned(),
        entry.size_bytes.to_string(),
        entry.sha256.to_string(),
        rows,
        source_version(entry).unwrap_or_default(),
    ];
    let fields = fields.map(|field| csv_field(&field));
    write!(output, "{}\r\n", fields.join(","))
}

/// A field by RFC 4180.
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Checksums, Object, TypeName};
    use crate::manifest::VerifiedContent;

    const ODD: &str = "event=a\\b\n'c\", d/p.parquet";

    fn exported(form: Form, key: &str) -> std::result::Result<String, ExportError> {
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() };
        let object = Object { key: key.into(), size_bytes: 7, etag: Some("\"e\"".into()), ..Object::default() };
        let content = VerifiedContent { sha256: [0xab; 32], checksums: Checksums::default(), rows: Some(3) };
        let entry = Entry::new(&object, key, &content);
        let mut output = Vec::new();
        let mut exporter = Exporter { form, entries: 0, output: &mut output };
        exporter.begin()?;
        exporter.write(&partition, &entry, &format!("s3://lake/{}{key}", partition.prefix()))?;
        exporter.write(&partition, &entry, &format!("s3://lake/{}{key}", partition.prefix()))?;
        exporter.end()?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn odd_names_are_right_in_every_form() {
        let error = exported(Form::Uris, ODD).unwrap_err();
        assert!(matches!(error, ExportError::Unreadable(error) if error.kind() == ErrorKind::Usage));
        assert!(exported(Form::Sha256sums, ODD).unwrap().starts_with(&format!(
            "\\{}  s3://lake/type=events/date=2026-11-20/event=a\\\\b\\n'c\", d/p.parquet\n",
            "ab".repeat(32)
        )));
        let redshift: Value = serde_json::from_str(&exported(Form::Redshift, ODD).unwrap()).unwrap();
        assert_eq!(redshift["entries"][1]["url"], format!("s3://lake/type=events/date=2026-11-20/{ODD}"));
        assert_eq!(redshift["entries"][1]["meta"]["content_length"], 7);
        let name = r#"'type=events/date=2026-11-20/event=a\\b\n''c", d/p.parquet'"#;
        assert_eq!(exported(Form::Snowflake, ODD).unwrap(), format!("({name}, {name})\n"));
        let csv = exported(Form::Csv, ODD).unwrap();
        assert!(csv.contains("events,2026-11-20,\"event=a\\b\n'c\"\", d/p.parquet\",\"s3://lake/"), "{csv}");
        assert!(csv.ends_with(",3,\"\"\"e\"\"\"\r\n"), "{csv}");
        let json = exported(Form::Json, ODD).unwrap();
        let line: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(line["key"], ODD);
    }

    #[test]
    fn nothing_published_is_an_empty_document() {
        for (form, expected) in [(Form::Redshift, "{\"entries\": [\n]}\n"), (Form::Snowflake, ""), (Form::Json, "")] {
            let mut output = Vec::new();
            let mut exporter = Exporter { form, entries: 0, output: &mut output };
            exporter.begin().unwrap();
            exporter.end().unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }
}
