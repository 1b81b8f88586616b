//! The compact text form of a fault.

use super::super::observation::Operation;
use super::units::{parse_bytes, parse_difference, parse_number, parse_percent, parse_status, parse_time};
use super::{Action, Fault, Refusal, Target};
use std::fmt;
use std::str::FromStr;

/// The compact text form of a [`Fault`], for the help of the command line.
pub const FAULT_GRAMMAR: &str = "\
TARGET:ACTION [OPTION]...

TARGET   exchange | oauth | list | get | head | any
ACTION   instead of an answer
           status=CODE | slowdown (503) | throttled (429) | error (500) | expired (400 ExpiredToken; gcs 401)
           html | empty | garbage (status 200 each) | redirect=URL | page=CODE (HTML with this status)
           archived | kms-disabled | kms-denied (s3: InvalidObjectState, KMS.DisabledException, kms:Decrypt)
           requester-pays (gcs 400, unless the request names a project)
         before the request takes its course
           delay=TIME | hold (for ever, unless a test releases it) | expire-all (credentials) | revoke (token)
         to a sound answer, BYTES counted from the start of its body
           stall@BYTES | cut@BYTES | reset@BYTES | flip@BYTE | short@BYTES (chunked, ends early)
           length=+BYTES | length=-BYTES | content-range | etag (gcs: and generation)
         to a sound listing
           repeat-token | bucket | prefix | foreign | unsorted | no-keys | bomb=BYTES | truncated
           repeat-key | step-back (the next page begins with the last, with the first key of this one)
OPTION   cloud=s3 | cloud=gcs     only requests to that cloud, and exchanges for it
         depth=types | depth=days | depth=objects   only listings of that
         times=N | times=always   how often (default once; always with chance, for or busy)
         after=N                  lets N fitting requests pass first
         nth=N                    only at the Nth fitting request
         chance=N%                probability, thrown with the seed
         for=TIME                 only during this time
         busy=N                   only while more than N requests are being answered
         code=NAME, retry-after=SECONDS   of an error answer
         key=TEXT                 the key, prefix or path contains TEXT; last, as TEXT may hold spaces
BYTES    1000, 64KiB, 5MiB, 1GiB
TIME     500ms, 2s, 5m, 1h
";

/// Why a text is no fault; a lower-case sentence fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFaultError(String);

impl fmt::Display for ParseFaultError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ParseFaultError {}

pub(super) type Parsed<T> = Result<T, ParseFaultError>;

pub(super) fn wrong<T>(message: String) -> Parsed<T> {
    Err(ParseFaultError(message))
}

const TARGETS: [(&str, Target); 6] = [
    ("exchange", Target::Only(Operation::Exchange)),
    ("oauth", Target::Only(Operation::OAuth)),
    ("list", Target::Only(Operation::List)),
    ("get", Target::Only(Operation::Get)),
    ("head", Target::Only(Operation::Head)),
    ("any", Target::Any),
];

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Parsed<Self> {
        let (what, mut options) = split(text.trim());
        let Some((target, action)) = what.split_once(':') else {
            return wrong(format!("{what:?} has no colon between target and action"));
        };
        let mut fault = Self::new(parse_target(target)?, parse_action(action)?);
        while !options.is_empty() {
            if let Some(part) = options.strip_prefix("key=") {
                return Ok(fault.key(part));
            }
            let (option, rest) = split(options);
            fault = parse_option(fault, option)?;
            options = rest;
        }
        Ok(fault)
    }
}

fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn parse_target(text: &str) -> Parsed<Target> {
    match TARGETS.iter().find(|(name, _)| *name == text) {
        Some((_, target)) => Ok(*target),
        None => wrong(format!("unknown target {text:?}; there are exchange, oauth, list, get, head and any")),
    }
}

fn parse_action(text: &str) -> Parsed<Action> {
    let (name, value) = match text.find(['=', '@']) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    };
    match value {
        None => plain_action(name),
        Some(value) => valued_action(name, value),
    }
}

const PLAIN: [(&str, Action); 21] = [
    ("archived", Action::Refusal(Refusal::Archived)),
    ("kms-disabled", Action::Refusal(Refusal::KmsDisabled)),
    ("kms-denied", Action::Refusal(Refusal::KmsDenied)),
    ("requester-pays", Action::Refusal(Refusal::RequesterPays)),
    ("expire-all", Action::ExpireAll),
    ("revoke", Action::RevokeToken),
    ("html", Action::Html200),
    ("empty", Action::EmptyBody),
    ("garbage", Action::Garbage),
    ("content-range", Action::WrongContentRange),
    ("etag", Action::WrongETag),
    ("repeat-token", Action::RepeatToken),
    ("bucket", Action::WrongBucketName),
    ("prefix", Action::WrongPrefix),
    ("foreign", Action::ForeignKeys),
    ("unsorted", Action::Unsorted),
    ("repeat-key", Action::RepeatKey),
    ("step-back", Action::StepBack),
    ("hold", Action::Hold),
    ("no-keys", Action::EmptyListing),
    ("truncated", Action::TruncatedXml),
];

fn plain_action(name: &str) -> Parsed<Action> {
    match name {
        "slowdown" => return Ok(Action::slow_down()),
        "throttled" => return Ok(Action::too_many_requests()),
        "error" => return Ok(Action::internal_error()),
        "expired" => return Ok(Action::expired_token()),
        _ => {}
    }
    match PLAIN.iter().find(|(known, _)| *known == name) {
        Some((_, action)) => Ok(action.clone()),
        None if valued_action(name, "").is_err_and(|error| !error.0.starts_with("unknown")) => {
            wrong(format!("action {name:?} needs a value"))
        }
        None => wrong(format!("unknown action {name:?}")),
    }
}

fn valued_action(name: &str, value: &str) -> Parsed<Action> {
    Ok(match name {
        "status" => Action::status(parse_status(value)?),
        "page" => Action::Page(parse_status(value)?),
        "delay" => Action::Delay(parse_time(value)?),
        "redirect" if value.is_empty() => return wrong("the redirect has no URL".to_owned()),
        "redirect" => Action::Redirect(value.to_owned()),
        "stall" => Action::Stall(parse_bytes(value)?),
        "cut" => Action::Cut(parse_bytes(value)?),
        "reset" => Action::Reset(parse_bytes(value)?),
        "flip" => Action::FlipBit(parse_bytes(value)?),
        "short" => Action::ShortChunked(parse_bytes(value)?),
        "length" => Action::LyingLength(parse_difference(value)?),
        "bomb" => Action::HugePage(parse_bytes(value)?),
        _ => return wrong(format!("unknown action {name:?} with a value")),
    })
}

fn parse_option(fault: Fault, option: &str) -> Parsed<Fault> {
    let Some((name, value)) = option.split_once('=') else {
        return wrong(format!("option {option:?} has no value"));
    };
    match name {
        "cloud" => match value.parse() {
            Ok(cloud) => Ok(fault.on(cloud)),
            Err(message) => wrong(message),
        },
        "depth" => match value.parse() {
            Ok(depth) => Ok(fault.depth(depth)),
            Err(message) => wrong(message),
        },
        "times" if value == "always" => Ok(fault.always()),
        "times" => Ok(fault.times(parse_number(value)?)),
        "after" => Ok(fault.after(parse_number(value)?)),
        "nth" => match parse_number(value)? {
            0 => wrong("the first request is nth=1".to_owned()),
            number => Ok(fault.nth(number)),
        },
        "chance" => Ok(fault.chance_percent(parse_percent(value)?)),
        "for" => Ok(fault.lasting(parse_time(value)?)),
        "busy" => Ok(fault.busier_than(parse_number(value)?)),
        "code" | "retry-after" => parse_status_option(fault, name, value),
        _ => wrong(format!("unknown option {name:?}")),
    }
}

fn parse_status_option(mut fault: Fault, name: &str, value: &str) -> Parsed<Fault> {
    let Action::Status { code, retry_after_seconds, .. } = &mut fault.action else {
        return wrong(format!("option {name:?} belongs to error answers only"));
    };
    match name {
        "code" => *code = Some(value.to_owned()),
        _ => *retry_after_seconds = Some(parse_number(value)?),
    }
    Ok(fault)
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = TARGETS.iter().find(|(_, target)| *target == self.target).map_or("any", |(name, _)| name);
        write!(formatter, "{target}:{}", self.action)?;
        self.cloud.iter().try_for_each(|cloud| write!(formatter, " cloud={cloud}"))?;
        self.depth.iter().try_for_each(|depth| write!(formatter, " depth={depth}"))?;
        match self.times {
            Some(u64::MAX) => write!(formatter, " times=always")?,
            Some(times) => write!(formatter, " times={times}")?,
            None => {}
        }
        if self.after > 0 {
            write!(formatter, " after={}", self.after)?;
        }
        if let Some(percent) = self.chance_percent {
            write!(formatter, " chance={percent}%")?;
        }
        if let Some(lasting) = self.lasting {
            write!(formatter, " for={}ms", lasting.as_millis())?;
        }
        self.busier_than.iter().try_for_each(|requests| write!(formatter, " busy={requests}"))?;
        self.key.iter().try_for_each(|key| write!(formatter, " key={key}"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, code, retry_after_seconds } => {
                write!(formatter, "status={status}")?;
                code.iter().try_for_each(|code| write!(formatter, " code={code}"))?;
                retry_after_seconds.iter().try_for_each(|seconds| write!(formatter, " retry-after={seconds}"))
            }
            Self::Page(status) => write!(formatter, "page={status}"),
            Self::Delay(delay) => write!(formatter, "delay={}ms", delay.as_millis()),
            Self::Redirect(url) => write!(formatter, "redirect={url}"),
            Self::Stall(bytes) => write!(formatter, "stall@{bytes}"),
            Self::Cut(bytes) => write!(formatter, "cut@{bytes}"),
            Self::Reset(bytes) => write!(formatter, "reset@{bytes}"),
            Self::FlipBit(byte) => write!(formatter, "flip@{byte}"),
            Self::ShortChunked(bytes) => write!(formatter, "short@{bytes}"),
            Self::LyingLength(difference) => write!(formatter, "length={difference:+}"),
            Self::HugePage(bytes) => write!(formatter, "bomb={bytes}"),
            plain => {
                let known = PLAIN.iter().find(|(_, action)| action == plain);
                formatter.write_str(known.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn texts_are_read_and_written_alike() {
        let texts = [
            "get:cut@1000 times=3",
            "exchange:status=503 retry-after=2 for=90000ms",
            "list:status=400 code=ExpiredToken times=always after=2",
            "any:length=-10 chance=2.5%",
            "get:length=+10 key=event=Größe wählen & weiter",
            "list:bomb=314572800",
            "any:redirect=http://127.0.0.1:1/?a=b",
            "head:delay=2000ms",
            "list:bucket cloud=gcs times=2",
            "list:status=403 cloud=s3 depth=days times=always",
            "exchange:page=403 times=3",
            "get:status=429 after=100 busy=20",
        ];
        for text in texts {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for (name, _) in PLAIN {
            let text = format!("any:{name}");
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn short_forms_mean_what_they_say() {
        let parse = |text: &str| text.parse::<Fault>().unwrap();
        assert_eq!(parse("list:slowdown times=5"), Fault::at(Operation::List, Action::slow_down()).times(5));
        assert_eq!(parse("get:expired"), Fault::at(Operation::Get, Action::expired_token()));
        assert_eq!(parse("get:reset@64KiB nth=3"), Fault::at(Operation::Get, Action::Reset(65536)).nth(3));
        assert_eq!(parse("any:delay=5m").action, Action::Delay(Duration::from_secs(300)));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let cases = [
            ("cut@1000", "no colon"),
            ("put:cut@1", "unknown target \"put\""),
            ("get:explode", "unknown action \"explode\""),
            ("get:cut", "needs a value"),
            ("get:cut@x", "not a number of bytes"),
            ("get:cut@99999999999GiB", "not a number of bytes"),
            ("get:status=200", "not an error status"),
            ("get:length=5", "neither +BYTES nor -BYTES"),
            ("get:redirect=", "no URL"),
            ("get:error times=x", "not a number"),
            ("get:error nth=0", "nth=1"),
            ("get:error chance=101%", "not a percentage"),
            ("get:error for=5", "not a time"),
            ("get:error cloud=azure", "no cloud is called \"azure\""),
            ("list:error depth=deep", "no depth is called \"deep\""),
            ("get:error maybe", "has no value"),
            ("get:error colour=red", "unknown option"),
            ("get:cut@1 code=X", "error answers only"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<Fault>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
