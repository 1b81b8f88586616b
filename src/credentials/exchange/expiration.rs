//! The end of AWS credentials as the exchange tells it: Unix time in milliseconds by the documents, read in
//! every form whose meaning is certain.

use jiff::Timestamp;
use serde_json::Value;

/// Where it stands in the answer (domain.md section 1).
pub(super) const PATH: &str = "/credentials/expiration";

/// Smaller numbers are seconds and larger ones milliseconds: as milliseconds it is a day of 1973, as seconds
/// the year 5138.
const SECONDS_BELOW: f64 = 1e11;

/// Still larger numbers are of another unit than both.
const MILLISECONDS_BELOW: f64 = 1e14;

/// When credentials end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expiration(pub Timestamp);

/// Reads a number in any of JSON's forms, the same as a text, or a time by ISO 8601; `None` for anything else.
pub(super) fn read(value: &Value) -> Option<Expiration> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return text.trim().parse().ok().map(Expiration),
        },
        _ => return None,
    };
    let milliseconds = match number {
        _ if !(0.0..MILLISECONDS_BELOW).contains(&number) => return None,
        seconds if seconds < SECONDS_BELOW => seconds * 1000.0,
        milliseconds => milliseconds,
    };
    // Both ends of the range are far within those of an i64.
    Timestamp::from_millisecond(milliseconds.trunc() as i64).ok().map(Expiration)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_the_same_moment_is_read() {
        let moment: Timestamp = "2026-11-21T13:00:00Z".parse().unwrap();
        let milliseconds = moment.as_millisecond();
        for form in [
            json!(milliseconds),
            json!(milliseconds as f64),
            serde_json::from_str("1.795266e12").unwrap(),
            json!(milliseconds.to_string()),
            json!(format!(" {milliseconds} ")),
            json!(moment.as_second()),
            json!(moment.as_second().to_string()),
            json!("2026-11-21T13:00:00Z"),
            json!("2026-11-21T13:00:00.000+00:00"),
            json!("2026-11-21T14:00:00+01:00"),
        ] {
            let Some(Expiration(read)) = read(&form) else { panic!("{form} is not read") };
            assert!(read.duration_since(moment).abs().as_secs() <= 60, "{form} is {read}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for form in [
            json!(null),
            json!(true),
            json!({}),
            json!("soon"),
            json!(""),
            json!("NaN"),
            json!("inf"),
            json!(-1),
            json!(1_795_251_600_000_000_i64),
            json!("2026-11-21T13:00:00"),
        ] {
            assert_eq!(read(&form), None, "{form}");
        }
    }
}
