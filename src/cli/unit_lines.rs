//! The days that a file or standard input names, one a line: what an engine hands to each of its tasks.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{AccountId, Partition, TypeName, printable};
use jiff::civil::Date;
use serde::Deserialize;

/// No line that names a day is longer.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Maximum number of days in one input: ten types over three centuries.
const UNITS_MAX: usize = 1_000_000;

/// How a line is written.
const HINT: &str = "write one day a line, as in type=events/date=2026-11-20, or as `e3sync plan --json` prints them";

/// The days that are named, and whose they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Each one once, in the order of the lines.
    pub partitions: Vec<Partition>,
    /// The account, where a line tells it.
    pub account_id: Option<AccountId>,
}

/// What a line of `plan --json` says of a day; other documents have no type or no date.
#[derive(Deserialize)]
struct PlanLine {
    #[serde(rename = "type")]
    type_name: Option<String>,
    date: Option<String>,
    source: Option<String>,
}

impl Units {
    /// Reads the days from a file, or from standard input where its name is `-`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] with the number of the line that names no day, or that is of another account.
    pub fn read(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Self::parse(io::stdin().lock(), "standard input");
        }
        let origin = path.display().to_string();
        let file = File::open(path).map_err(|cause| unreadable(&origin, cause))?;
        Self::parse(BufReader::new(file), &origin)
    }

    fn parse(mut lines: impl BufRead, origin: &str) -> Result<Self> {
        let mut units = Self::default();
        let mut known = std::collections::HashSet::new();
        for number in 1.. {
            let mut line = Vec::new();
            let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if read.map_err(|cause| unreadable(origin, cause))? == 0 {
                break;
            }
            let within = |error: Error| error.within(format_args!("{origin}, line {number}"));
            let Some((partition, account_id)) = unit_in(&line).map_err(within)? else { continue };
            units.note_account(account_id).map_err(within)?;
            if known.len() >= UNITS_MAX {
                return Err(within(usage(format!("these are more than {UNITS_MAX} days"))));
            }
            if known.insert(partition.clone()) {
                units.partitions.push(partition);
            }
        }
        Ok(units)
    }

    fn note_account(&mut self, account_id: Option<AccountId>) -> Result<()> {
        match (&self.account_id, account_id) {
            (Some(one), Some(other)) if *one != other => {
                let what = format!("a day of account {other}, and those before are of account {one}");
                Err(Error::new(ErrorKind::Usage, what).with_hint("a destination holds one account's mirror"))
            }
            (_, Some(account_id)) => {
                self.account_id = Some(account_id);
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// The types of the days.
    pub fn types(&self) -> Vec<TypeName> {
        let mut types: Vec<TypeName> = self.partitions.iter().map(|partition| partition.type_name.clone()).collect();
        types.sort();
        types.dedup();
        types
    }
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what).with_hint(HINT)
}

fn unreadable(origin: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot read the days of --units from {origin}"))
        .with_hint("name a file that can be read, or - and pipe the days in")
        .with_cause(cause)
}

/// The day that a line names; nothing for an empty line, a comment, or a document that is about no day.
fn unit_in(line: &[u8]) -> Result<Option<(Partition, Option<AccountId>)>> {
    let text = std::str::from_utf8(line).map_err(|_| usage("the line is no text"))?;
    // Some editors begin a file with a mark that is no character of it.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return unit_in_document(text);
    }
    let text = text.trim_matches(['"', '\'']).trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    unit_in_path(text).map(Some)
}

fn unit_in_document(text: &str) -> Result<Option<(Partition, Option<AccountId>)>> {
    let line: PlanLine = serde_json::from_str(text).map_err(|cause| usage("the line is no JSON").with_cause(cause))?;
    let (Some(type_name), Some(date)) = (&line.type_name, &line.date) else { return Ok(None) };
    let account_id = line.source.as_deref().map(account_in).transpose()?.flatten();
    Ok(Some((partition(type_name, date)?, account_id)))
}

/// A day's folder, alone or at the end of a path or URL of the export.
fn unit_in_path(text: &str) -> Result<(Partition, Option<AccountId>)> {
    let refused = || usage(format!("`{}` names no day", printable(text)));
    let path = text.trim_end_matches('/');
    let (parent, date) = path.rsplit_once('/').ok_or_else(refused)?;
    let (before, type_folder) =
        parent.rsplit_once('/').map_or((None, parent), |(before, folder)| (Some(before), folder));
    let (Some(date), Some(type_name)) = (date.strip_prefix("date="), type_folder.strip_prefix("type=")) else {
        return Err(refused());
    };
    Ok((partition(type_name, date)?, before.map(account_in).transpose()?.flatten()))
}

fn partition(type_name: &str, date: &str) -> Result<Partition> {
    let date: Date = date.parse().map_err(|_| usage(format!("`{}` is no day", printable(date))))?;
    Ok(Partition { type_name: TypeName::parse(type_name)?, date })
}

fn account_in(path: &str) -> Result<Option<AccountId>> {
    path.split('/').find_map(|folder| folder.strip_prefix("account_id=")).map(AccountId::parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Units> {
        Units::parse(text.as_bytes(), "standard input")
    }

    #[test]
    fn days_are_named_by_folders_paths_and_plans() {
        let text = "\u{feff}type=events/date=2026-11-20\r\n\n# the rest\n  type=decisions/date=2026-11-20/ \n\
                    \"type=events/date=2026-11-20\"\ns3://b/v1/account_id=7/type=events/date=2026-11-19\n\
                    {\"event\":\"start\",\"account_id\":\"7\"}\n\
                    {\"event\":\"plan\",\"type\":\"events\",\"date\":\"2026-11-18\",\"source\":\"s3://b/v1/account_id=7/\"}";
        let units = parsed(text).unwrap();
        let names: Vec<String> = units.partitions.iter().map(ToString::to_string).collect();
        let expected = ["type=events/date=2026-11-20", "type=decisions/date=2026-11-20"];
        assert_eq!(names[..2], expected);
        assert_eq!(names[2..], ["type=events/date=2026-11-19", "type=events/date=2026-11-18"]);
        assert_eq!(units.account_id.as_ref().map(AccountId::as_str), Some("7"));
        assert_eq!(units.types().len(), 2);
        assert_eq!(parsed(" \n\n").unwrap(), Units::default());
    }

    #[test]
    fn a_line_that_names_no_day_is_told_by_its_number() {
        let wide = "x".repeat(70_000);
        for bad in ["events", "type=events", "type=events/date=2026-13-01", "{\"type\":", &wide] {
            let error = parsed(&format!("type=events/date=2026-11-20\n{bad}\n")).unwrap_err();
            assert!(error.to_string().starts_with("standard input, line 2: "), "{error}");
            assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
        }
        let error = parsed("type=events/date=2026-11-20/experiment=7/part-0.parquet").unwrap_err();
        assert!(error.to_string().contains("names no day"), "{error}");
    }

    #[test]
    fn days_of_two_accounts_are_refused() {
        let error =
            parsed("account_id=7/type=events/date=2026-11-20\naccount_id=8/type=events/date=2026-11-20").unwrap_err();
        assert!(error.to_string().contains("account 8") && error.to_string().contains("account 7"), "{error}");
    }
}
