//! Values by the library's own rules, so that a mistake shows where it is typed or written.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PathBufValueParser, TypedValueParser};
use e3sync::credentials::well_formed::{self, Syntax};
use e3sync::error::{self, Error};
use e3sync::export::{AccountId, DaySpec, NamePattern, TypeName};
use e3sync::plan::Shard;
use e3sync::transfer::Concurrency;

use crate::cli::environment;
use crate::cli::units::{ByteRate, ByteSize, Span};

/// More objects in flight than this serve nobody.
const CONCURRENCY_MAX: usize = 4096;

/// What the search for the best concurrency does not go beyond.
const CONCURRENCY_ADAPTIVE_MAX: usize = 256;

/// In smaller parts requests would outweigh their content.
const PART_BYTES_MIN: u64 = 64 * 1024;

/// An error in the one line that the parser of the command line has room for.
fn told<T>(result: error::Result<T>) -> Result<T, String> {
    let with_hint = |error: Error| error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"));
    result.map_err(with_hint)
}

/// Reads `7d`, `7` or `1w` as a number of days.
pub fn parse_days(text: &str) -> Result<u32, String> {
    let (number, unit_days) = match text.strip_suffix('w') {
        Some(number) => (number, 7),
        None => (text.strip_suffix('d').unwrap_or(text), 1),
    };
    match number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit_days)) {
        Some(days @ 1..=36_500) => Ok(days),
        Some(0) => Err("must be at least one day".to_owned()),
        _ => Err("write a number of days, as in 7d, or of weeks, as in 2w".to_owned()),
    }
}

/// Reads a path. The shell knows `~` only where a word begins with it: not in a variable, nor behind `=`.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| environment::without_tilde(&path))
}

/// Reads a day as a person writes it.
pub fn parse_day(text: &str) -> Result<DaySpec, String> {
    told(text.parse())
}

/// Reads the name of a type.
pub fn parse_type(text: &str) -> Result<TypeName, String> {
    told(TypeName::parse(text))
}

/// Reads a name, or a pattern of names.
pub fn parse_pattern(text: &str) -> Result<NamePattern, String> {
    told(NamePattern::parse(text))
}

/// Reads an account's number.
pub fn parse_account_id(text: &str) -> Result<AccountId, String> {
    told(AccountId::parse(text))
}

/// Reads `auto` or a number of objects.
pub fn parse_concurrency(text: &str) -> Result<Concurrency, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Concurrency::Adaptive { max: CONCURRENCY_ADAPTIVE_MAX }),
        (_, Ok(limit @ 1..=CONCURRENCY_MAX)) => Ok(Concurrency::Fixed(limit)),
        _ => Err(format!("give auto, or a number from 1 to {CONCURRENCY_MAX}")),
    }
}

/// Reads the size of a part.
pub fn parse_part_size(text: &str) -> Result<ByteSize, String> {
    match ByteSize::from_str(text)? {
        ByteSize(bytes) if bytes < PART_BYTES_MIN => Err("parts have at least 64KiB; 8MiB is the default".to_owned()),
        size => Ok(size),
    }
}

/// A rate that may be none.
pub fn parse_min_rate(text: &str) -> Result<ByteRate, String> {
    if text.trim_end_matches("B/s") == "0" { Ok(ByteRate(0)) } else { text.parse() }
}

/// A share of the days as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardArg {
    /// The one that the scheduler's variables tell.
    Auto,
    /// This one.
    Share(Shard),
}

/// Reads `auto` or a share, as in `3/8`.
pub fn parse_shard(text: &str) -> Result<ShardArg, String> {
    if text == "auto" {
        return Ok(ShardArg::Auto);
    }
    let numbers = text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
    let (number, count) = numbers.ok_or("write which share of how many, as in 3/8, or auto")?;
    told(Shard::new(number, count)).map(ShardArg::Share)
}

/// Reads the name of a group of runs, which stands in reports and on pages.
pub fn parse_group(text: &str) -> Result<String, String> {
    const CHARACTERS_MAX: usize = 200;
    let name = text.trim();
    if name.is_empty() || name.chars().any(char::is_control) || name.chars().count() > CHARACTERS_MAX {
        return Err(format!("write a name of 1 to {CHARACTERS_MAX} characters on one line"));
    }
    Ok(name.to_owned())
}

/// Reads a length of time that is not none.
pub fn parse_timeout(text: &str) -> Result<Span, String> {
    match Span::from_str(text)? {
        Span(time) if time.is_zero() => Err("must be longer than no time".to_owned()),
        span => Ok(span),
    }
}

/// Reads what becomes a part of a server's name.
pub fn parse_host_part(text: &str) -> Result<String, String> {
    parse_form(text, Syntax::HostPart)
}

/// Reads what stands in a header as it is.
pub fn parse_header(text: &str) -> Result<String, String> {
    parse_form(text, Syntax::Header)
}

/// Reads the name of a profile, in which people have blanks.
pub fn parse_profile(text: &str) -> Result<String, String> {
    parse_form(text, Syntax::SigningKey)
}

fn parse_form(text: &str, form: Syntax) -> Result<String, String> {
    match well_formed::flaw(text, form) {
        Some(flaw) => Err(format!("it {flaw}; {}", flaw.hint())),
        None => Ok(text.to_owned()),
    }
}
