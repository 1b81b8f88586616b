//! Rows into Snappy Parquet of exactly the export's schemas (domain.md section 3).

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use std::sync::{Arc, LazyLock};

const DECISIONS: &str = "message spark_schema {
  optional binary uuid (UTF8);
  optional int64 timestamp (TIMESTAMP_MILLIS);
  optional int64 process_timestamp (TIMESTAMP_MILLIS);
  optional binary visitor_id (UTF8);
  optional binary session_id (UTF8);
  optional binary account_id (UTF8);
  optional binary campaign_id (UTF8);
  optional binary experiment_id (UTF8);
  optional binary variation_id (UTF8);
  optional group attributes (LIST) { repeated group list { optional group element {
    optional binary id (UTF8);
    optional binary name (UTF8);
    optional binary type (UTF8);
    optional binary value (UTF8);
  } } }
  optional binary user_ip (UTF8);
  optional binary user_agent (UTF8);
  optional binary referer (UTF8);
  optional boolean is_holdback;
  optional binary revision (UTF8);
  optional binary client_engine (UTF8);
  optional binary client_version (UTF8);
}";

const CONVERSIONS: &str = "message spark_schema {
  optional binary uuid (UTF8);
  optional int64 timestamp (TIMESTAMP_MILLIS);
  optional int64 process_timestamp (TIMESTAMP_MILLIS);
  optional binary visitor_id (UTF8);
  optional binary session_id (UTF8);
  optional binary account_id (UTF8);
  optional group experiments (LIST) { repeated group list { optional group element {
    optional binary campaign_id (UTF8);
    optional binary experiment_id (UTF8);
    optional binary variation_id (UTF8);
    optional boolean is_holdback;
  } } }
  optional binary entity_id (UTF8);
  optional group attributes (LIST) { repeated group list { optional group element {
    optional binary id (UTF8);
    optional binary name (UTF8);
    optional binary type (UTF8);
    optional binary value (UTF8);
  } } }
  optional binary user_ip (UTF8);
  optional binary user_agent (UTF8);
  optional binary referer (UTF8);
  optional binary event_type (UTF8);
  optional binary event_name (UTF8);
  optional int64 revenue;
  optional double value;
  optional int64 quantity;
  optional group tags (MAP) { repeated group key_value {
    required binary key (UTF8);
    optional binary value (UTF8);
  } }
  optional binary revision (UTF8);
  optional binary client_engine (UTF8);
  optional binary client_version (UTF8);
}";

static DECISIONS_SCHEMA: LazyLock<SchemaDescriptor> = LazyLock::new(|| schema(DECISIONS));
static CONVERSIONS_SCHEMA: LazyLock<SchemaDescriptor> = LazyLock::new(|| schema(CONVERSIONS));

fn schema(message: &str) -> SchemaDescriptor {
    let root = parse_message_type(message).expect("the two schemas above are well-formed");
    SchemaDescriptor::new(Arc::new(root))
}

/// The value of one field of one row.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Double(f64),
    Flag(bool),
    /// A list of structs, or a map as a list of its pairs.
    List(Vec<Vec<Cell>>),
}

/// A Parquet file of decisions; each row has the schema's 17 fields in their order.
pub(crate) fn decisions_file(rows: &[Vec<Cell>]) -> Bytes {
    file(&DECISIONS_SCHEMA, rows)
}

/// A Parquet file of conversions; each row has the schema's 21 fields in their order.
pub(crate) fn conversions_file(rows: &[Vec<Cell>]) -> Bytes {
    file(&CONVERSIONS_SCHEMA, rows)
}

fn file(schema: &SchemaDescriptor, rows: &[Vec<Cell>]) -> Bytes {
    let mut buffer = Vec::new();
    write(schema, rows, &mut buffer).expect("rows of the schema written to memory cannot fail");
    Bytes::from(buffer)
}

fn write(schema: &SchemaDescriptor, rows: &[Vec<Cell>], buffer: &mut Vec<u8>) -> parquet::errors::Result<()> {
    let root = schema.root_schema_ptr();
    let mut writer = SerializedFileWriter::new(buffer, root, Arc::new(properties()))?;
    let mut group = writer.next_row_group()?;
    let mut leaf = 0;
    while let Some(mut column) = group.next_column()? {
        let shredded = Shredded::of(schema, leaf, rows);
        shredded.write(column.untyped())?;
        column.close()?;
        leaf += 1;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

/// The settings of the export's writer: an old Spark, so no page indexes and dictionaries where they help.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by("e3sync simulator".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build()
}

/// One leaf column: its values, and per value or gap the definition and repetition levels of Dremel.
struct Shredded<'a> {
    column: &'a ColumnDescriptor,
    values: Vec<&'a Cell>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<'a> Shredded<'a> {
    fn of(schema: &'a SchemaDescriptor, leaf: usize, rows: &'a [Vec<Cell>]) -> Self {
        let field = schema.get_column_root_idx(leaf);
        let position = (0..leaf).filter(|&before| schema.get_column_root_idx(before) == field).count();
        let column = schema.columns()[leaf].as_ref();
        let mut shredded = Self { column, values: Vec::new(), definition: Vec::new(), repetition: Vec::new() };
        for row in rows {
            shredded.push_field(&row[field], position);
        }
        shredded
    }

    /// Level 0 says that the field is null, level 1 that a list is there but empty.
    fn push_field(&mut self, cell: &'a Cell, position: usize) {
        match cell {
            Cell::Null => self.push_level(0, 0),
            Cell::List(items) if items.is_empty() => self.push_level(1, 0),
            Cell::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.push_value(&item[position], i16::from(index > 0));
                }
            }
            _ => self.push_value(cell, 0),
        }
    }

    fn push_value(&mut self, cell: &'a Cell, repetition: i16) {
        let present = self.column.max_def_level();
        if matches!(cell, Cell::Null) {
            self.push_level(present - 1, repetition);
        } else {
            self.push_level(present, repetition);
            self.values.push(cell);
        }
    }

    fn push_level(&mut self, definition: i16, repetition: i16) {
        self.definition.push(definition);
        self.repetition.push(repetition);
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> parquet::errors::Result<()> {
        let definition = Some(self.definition.as_slice());
        let repetition = (self.column.max_rep_level() > 0).then_some(self.repetition.as_slice());
        match writer {
            ColumnWriter::ByteArrayColumnWriter(column) => {
                column.write_batch(&self.collect(text), definition, repetition)?;
            }
            ColumnWriter::Int64ColumnWriter(column) => {
                column.write_batch(&self.collect(integer), definition, repetition)?;
            }
            ColumnWriter::DoubleColumnWriter(column) => {
                column.write_batch(&self.collect(double), definition, repetition)?;
            }
            ColumnWriter::BoolColumnWriter(column) => {
                column.write_batch(&self.collect(flag), definition, repetition)?;
            }
            _ => unreachable!("the two schemas use no other physical type"),
        }
        Ok(())
    }

    fn collect<T>(&self, value: impl Fn(&Cell) -> Option<T>) -> Vec<T> {
        self.values.iter().map(|&cell| value(cell).expect("rows follow the order and types of the schema")).collect()
    }
}

fn text(cell: &Cell) -> Option<ByteArray> {
    if let Cell::Text(text) = cell { Some(ByteArray::from(text.as_str())) } else { None }
}

fn integer(cell: &Cell) -> Option<i64> {
    if let Cell::Integer(number) = cell { Some(*number) } else { None }
}

fn double(cell: &Cell) -> Option<f64> {
    if let Cell::Double(number) = cell { Some(*number) } else { None }
}

fn flag(cell: &Cell) -> Option<bool> {
    if let Cell::Flag(flag) = cell { Some(*flag) } else { None }
}
