//! Plausible rows of decisions and conversions, the same for the same seed.

use super::names::HIVE_DEFAULT;
use super::parquet::{Cell, conversions_file, decisions_file};
use super::seed::{Dice, derive_uuid};
use bytes::Bytes;
use jiff::civil::Date;

const DAY_MILLISECONDS: u64 = 86_400_000;
const BROWSERS: [&str; 4] = ["chrome", "safari", "firefox", "edge"];
const AGENTS: [&str; 3] = ["python-requests/2.24.0", "Mozilla/5.0 (X11; Linux x86_64)", "okhttp/4.9.1"];
const PRODUCTS: [(&str, &str); 3] = [("iphone", "999.99"), ("phone case", "39.95"), ("Hülle \"M\"", "12")];
const ENGINES: [&str; 3] = ["python-sdk", "javascript-sdk", "web"];

/// The rows of one part file, described; nothing is made before [`Rows::file`].
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) seed: u64,
    pub(crate) account_id: String,
    /// True for decisions, false for conversions.
    pub(crate) decisions: bool,
    pub(crate) date: Date,
    /// The experiment or event, not escaped.
    pub(crate) subpartition: String,
    pub(crate) part: u32,
    pub(crate) revision: u32,
    pub(crate) count: u32,
}

impl Rows {
    /// The Parquet file of these rows. The cloud plays no part: both clouds export the same rows.
    pub(crate) fn file(&self) -> Bytes {
        let [kind, subpartition] = self.identity();
        let mut dice = Dice::new(self.seed, &[kind, subpartition, &self.place()]);
        if self.decisions {
            let rows: Vec<_> = (0..self.count).map(|row| self.decision(&mut dice, row)).collect();
            decisions_file(&rows)
        } else {
            let rows: Vec<_> = (0..self.count).map(|row| self.conversion(&mut dice, row)).collect();
            conversions_file(&rows)
        }
    }

    fn identity(&self) -> [&str; 2] {
        [if self.decisions { "decisions" } else { "conversions" }, &self.subpartition]
    }

    fn place(&self) -> String {
        format!("{}/{}/{}", self.date, self.part, self.revision)
    }

    /// The fields that both kinds begin with, up to `account_id`.
    fn beginning(&self, dice: &mut Dice, row: u32) -> Vec<Cell> {
        let [kind, subpartition] = self.identity();
        let place = format!("{}/{row}", self.place());
        let begin = self.date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |day| day.timestamp().as_millisecond());
        let processed = begin + dice.below(DAY_MILLISECONDS) as i64;
        let visitor = dice.below(5_000);
        vec![
            Cell::Text(derive_uuid(self.seed, &["row", kind, subpartition, &place])),
            // Late events: the folder's day is the day of processing.
            Cell::Integer(processed - dice.between(1_000, 90_000) as i64),
            Cell::Integer(processed),
            Cell::Text(format!("user_{visitor}")),
            Cell::Text(((visitor as i64 + 1) * -535_397 % 2_000_000_000).to_string()),
            Cell::Text(self.account_id.clone()),
        ]
    }

    fn decision(&self, dice: &mut Dice, row: u32) -> Vec<Cell> {
        let mut cells = self.beginning(dice, row);
        cells.extend([
            Cell::Text("18811053836".to_owned()),
            Cell::Text(self.subpartition.clone()),
            Cell::Text((18_802_093_142 + dice.below(3)).to_string()),
            attributes(dice),
        ]);
        cells.extend(client(dice));
        cells.push(Cell::Flag(dice.percent(2)));
        cells.extend(ending(dice));
        cells
    }

    fn conversion(&self, dice: &mut Dice, row: u32) -> Vec<Cell> {
        let mut cells = self.beginning(dice, row);
        let name = match self.subpartition.as_str() {
            HIVE_DEFAULT => Cell::Null,
            name => Cell::Text(name.to_owned()),
        };
        let sale = dice.percent(40);
        cells.extend([experiments(dice), Cell::Text((15_776_040_040 + dice.below(9)).to_string()), attributes(dice)]);
        cells.extend(client(dice));
        cells.extend([
            if dice.percent(50) { Cell::Null } else { Cell::Text("custom".to_owned()) },
            name,
            if sale { Cell::Integer(dice.below(100_000) as i64) } else { Cell::Null },
            if dice.percent(20) { Cell::Double(dice.below(1_000) as f64 / 8.0) } else { Cell::Null },
            Cell::Integer(dice.below(4) as i64),
            tags(dice, sale),
        ]);
        cells.extend(ending(dice));
        cells
    }
}

fn text_or_null(text: Option<&str>) -> Cell {
    text.map_or(Cell::Null, |text| Cell::Text(text.to_owned()))
}

fn attribute(id: Option<&str>, name: &str, kind: &str, value: &str) -> Vec<Cell> {
    [id, Some(name), Some(kind), Some(value)].map(text_or_null).into()
}

fn attributes(dice: &mut Dice) -> Cell {
    if dice.percent(3) {
        return if dice.percent(50) { Cell::Null } else { Cell::List(Vec::new()) };
    }
    let mut list = vec![
        attribute(Some("$opt_bot_filtering"), "$opt_bot_filtering", "custom", "false"),
        attribute(None, "attribution/captured", "metadata", "true"),
    ];
    if dice.percent(70) {
        list.push(attribute(Some("18802134986"), "browser", "custom", dice.pick(&BROWSERS)));
    }
    Cell::List(list)
}

fn experiments(dice: &mut Dice) -> Cell {
    let experiment = |dice: &mut Dice| {
        let mut fields: Vec<_> =
            ["18803622799", "18805683213", "18809464474"].map(|id| Cell::Text(id.to_owned())).into();
        fields.push(Cell::Flag(dice.percent(2)));
        fields
    };
    Cell::List((0..dice.below(3)).map(|_| experiment(dice)).collect())
}

fn tags(dice: &mut Dice, sale: bool) -> Cell {
    if !sale {
        return if dice.percent(50) { Cell::Null } else { Cell::List(Vec::new()) };
    }
    let (product, price) = PRODUCTS[dice.below(PRODUCTS.len() as u64) as usize];
    let pair = |key: &str, value: Option<&str>| vec![Cell::Text(key.to_owned()), text_or_null(value)];
    Cell::List(vec![
        pair("product", Some(product)),
        pair("price", Some(price)),
        pair("coupon", dice.percent(30).then_some("WELCOME")),
    ])
}

/// `user_ip`, `user_agent`, `referer`.
fn client(dice: &mut Dice) -> [Cell; 3] {
    [
        Cell::Text(format!("162.227.{}.0", dice.below(256))),
        Cell::Text(dice.pick(&AGENTS).to_owned()),
        text_or_null(dice.percent(30).then_some("https://www.example.com/shop?q=1")),
    ]
}

/// `revision`, `client_engine`, `client_version`.
fn ending(dice: &mut Dice) -> [Cell; 3] {
    [
        Cell::Text(dice.between(91, 99).to_string()),
        Cell::Text(dice.pick(&ENGINES).to_owned()),
        Cell::Text("3.5.2".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn rows(decisions: bool, count: u32) -> Rows {
        Rows {
            seed: 1,
            account_id: "21468570738".to_owned(),
            decisions,
            date: jiff::civil::date(2026, 11, 20),
            subpartition: "123".to_owned(),
            part: 0,
            revision: 0,
            count,
        }
    }

    #[test]
    fn both_kinds_are_files_with_the_asked_number_of_rows() {
        for (decisions, leaves) in [(true, 20), (false, 28)] {
            let reader = SerializedFileReader::new(rows(decisions, 50).file()).unwrap();
            let metadata = reader.metadata();
            assert_eq!(metadata.file_metadata().num_rows(), 50);
            assert_eq!(metadata.file_metadata().schema_descr().num_columns(), leaves);
            assert_eq!(reader.get_row_iter(None).unwrap().filter_map(Result::ok).count(), 50);
        }
    }

    #[test]
    fn the_same_description_gives_the_same_bytes() {
        assert_eq!(rows(false, 20).file(), rows(false, 20).file());
        assert_ne!(rows(false, 20).file(), Rows { part: 1, ..rows(false, 20) }.file());
    }

    #[test]
    fn a_file_without_rows_is_a_file() {
        assert!(rows(true, 0).file().ends_with(b"PAR1"));
    }
}
