//! The `Range` header (RFC 9110 section 14), as far as the clouds follow it.

use std::ops::Range;

/// What a `Range` header asks of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: no header, several ranges, or nonsense, which both ignore.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the object does not have: status 416.
    Unsatisfiable,
}

/// Reads the header for an object of the size.
pub(crate) fn parse(header: Option<&str>, size_bytes: u64) -> Asked {
    let Some((first, last)) = header.and_then(|value| value.strip_prefix("bytes=")?.split_once('-')) else {
        return Asked::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => first..size_bytes,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (None, Some(count)) if first.is_empty() => size_bytes.saturating_sub(count)..size_bytes,
        _ => return Asked::Whole,
    };
    if range.is_empty() { Asked::Unsatisfiable } else { Asked::Part(range) }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_clouds_read_them() {
        let part = |first, end| Asked::Part(first..end);
        let cases = [
            (Some("bytes=0-0"), 10, part(0, 1)),
            (Some("bytes=0-99"), 10, part(0, 10)),
            (Some("bytes=3-"), 10, part(3, 10)),
            (Some("bytes=-3"), 10, part(7, 10)),
            (Some("bytes=-30"), 10, part(0, 10)),
            (Some("bytes=0-18446744073709551615"), 10, part(0, 10)),
            (Some("bytes=10-"), 10, Asked::Unsatisfiable),
            (Some("bytes=11-12"), 10, Asked::Unsatisfiable),
            (Some("bytes=-0"), 10, Asked::Unsatisfiable),
            (Some("bytes=0-"), 0, Asked::Unsatisfiable),
            (Some("bytes=5-3"), 10, Asked::Whole),
            (Some("bytes=0-1,3-4"), 10, Asked::Whole),
            (Some("bytes=+1-2"), 10, Asked::Whole),
            (Some("bytes=-"), 10, Asked::Whole),
            (Some("rows=0-1"), 10, Asked::Whole),
            (None, 10, Asked::Whole),
        ];
        for (header, size_bytes, expected) in cases {
            assert_eq!(parse(header, size_bytes), expected, "{header:?}");
        }
    }
}
