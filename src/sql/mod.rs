//! Statements that let a warehouse or an engine read a mirror: one table or view for each type.
//!
//! Pure: an address and names in, text out. Every engine has its own file and takes the columns from
//! [`schema`], so that a column is added in one place.

mod athena;
mod bigquery;
mod duckdb;
mod engine;
mod place;
mod quote;
pub mod schema;
mod snowflake;
mod spark;

use std::collections::BTreeSet;

use jiff::civil::Date;

pub use engine::Engine;
pub use place::MirrorLocation;

use self::place::Root;
use self::schema::TableLayout;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{TypeName, printable};

/// A type that gets a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredType {
    /// The type.
    pub name: TypeName,
    /// Its oldest published day, where that is known.
    pub first_day: Option<Date>,
}

/// What tables and views are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNames {
    schema: Option<String>,
    prefix: String,
}

impl TableNames {
    /// Names in a schema (Athena's database, BigQuery's data set) that begin with a prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what not every engine takes in a name.
    pub fn new(schema: Option<&str>, prefix: &str) -> Result<Self> {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if !prefix.chars().all(is_word) {
            return Err(refused("--prefix", prefix, "letters, digits and _ can stand there"));
        }
        let is_part = |part: &str| !part.is_empty() && part.chars().all(|letter| is_word(letter) || letter == '-');
        if let Some(schema) = schema.filter(|schema| !schema.split('.').all(is_part)) {
            return Err(refused(
                "--schema",
                schema,
                "letters, digits, _ and - can stand there, and dots between names",
            ));
        }
        Ok(Self { schema: schema.map(str::to_owned), prefix: prefix.to_owned() })
    }

    /// The name of each type's table, in lower case; no two are alike.
    fn of_types(&self, types: &[MirroredType]) -> Vec<String> {
        let mut taken = BTreeSet::new();
        types.iter().map(|mirrored| self.of_type(&mirrored.name, &mut taken)).collect()
    }

    fn of_type(&self, type_name: &TypeName, taken: &mut BTreeSet<String>) -> String {
        let word = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        let name: String =
            self.prefix.to_ascii_lowercase().chars().chain(type_name.as_str().chars().map(word)).collect();
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    }

    /// A name in the schema, every part of it in these quotation marks.
    fn quoted(&self, name: &str, mark: char) -> String {
        let parts: Vec<&str> = self.schema.as_deref().into_iter().chain([name]).collect();
        quote::name(&parts, mark)
    }
}

fn refused(flag: &str, text: &str, hint: &'static str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{}` cannot be the value of {flag}", printable(text))).with_hint(hint)
}

/// What statements are asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the mirror is.
    pub place: MirrorLocation,
    /// The types to make tables for.
    pub types: Vec<MirroredType>,
    /// What the tables are called.
    pub names: TableNames,
}

/// One type's table, as an engine's file needs it.
struct Table<'a> {
    names: &'a TableNames,
    name: String,
    mirrored: &'a MirroredType,
    layout: TableLayout,
    root: &'a Root,
}

impl Table<'_> {
    /// The table's name in its schema.
    fn quoted(&self, mark: char) -> String {
        self.names.quoted(&self.name, mark)
    }

    /// The address of the type's folder, without a slash at the end.
    fn folder(&self) -> String {
        self.root.below(&self.mirrored.name.folder())
    }

    /// A comment above the statements of one type.
    fn remark(&self) -> String {
        let type_name = &self.mirrored.name;
        if self.layout.is_documented {
            return format!("-- {type_name}\n");
        }
        let assumed = if self.layout.sub_partition == "experiment" { "decisions" } else { "events" };
        format!("-- {type_name}: the vendor does not document it; it is taken to have the columns of {assumed}.\n")
    }
}

/// The statements for all types, each ended by a semicolon.
///
/// ```
/// use e3sync::export::TypeName;
/// use e3sync::sql::{self, Engine, MirrorLocation, MirroredType, Request, TableNames};
///
/// let decisions = MirroredType { name: TypeName::parse("decisions")?, first_day: None };
/// let location = MirrorLocation::S3 { bucket: "my-lake".to_owned(), prefix: "optimizely".to_owned() };
/// let names = TableNames::new(Some("optimizely"), "")?;
/// let statements = sql::statements(Engine::Athena, &Request { place: location, types: vec![decisions], names })?;
/// assert!(statements.contains("s3://my-lake/optimizely/type=decisions/"));
/// # Ok::<(), e3sync::error::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Usage`] for a place that the engine cannot read.
pub fn statements(engine: Engine, request: &Request) -> Result<String> {
    let root = place::root(engine, &request.place)?;
    let names = request.names.of_types(&request.types);
    let tables = names.into_iter().zip(&request.types).map(|(name, mirrored)| Table {
        names: &request.names,
        name,
        mirrored,
        layout: TableLayout::of(&mirrored.name),
        root: &root,
    });
    let (header, of_table): (String, fn(&Table<'_>) -> String) = match engine {
        Engine::DuckDb => (duckdb::header(&root), duckdb::table),
        Engine::Athena => (athena::header(&request.names), athena::table),
        Engine::BigQuery => (bigquery::header(&request.names), bigquery::table),
        Engine::Snowflake => (snowflake::header(&root), snowflake::table),
        Engine::Spark => (spark::header(&root), spark::table),
    };
    let missing = if request.place == MirrorLocation::Unknown { place::FILL_IN } else { "" };
    let mut text = format!("{missing}{header}");
    for table in tables {
        text.push('\n');
        text.push_str(&table.remark());
        text.push_str(&of_table(&table));
    }
    Ok(text)
}

/// Lines joined by commas, each behind this indentation.
fn listed(lines: impl Iterator<Item = String>, indentation: &str) -> String {
    let lines: Vec<String> = lines.map(|line| format!("{indentation}{line}")).collect();
    lines.join(",\n")
}

#[cfg(test)]
mod tests;
