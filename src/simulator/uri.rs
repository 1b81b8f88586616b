//! Percent-encoding, byte for byte: keys are opaque, so nothing here normalises a path.

/// Decodes `%XX`. `plus_is_space` is the rule of query strings.
///
/// Gives none if an escape is broken or the bytes are not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes all but letters, digits and the bytes in `kept`.
pub(crate) fn encode(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The parameters of a query string in the order sent; a parameter without `=` has the empty value.
///
/// Gives none if one cannot be decoded.
pub(crate) fn parse_query(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_decode_once() {
        assert_eq!(decode("a%253A%2F+", false).unwrap(), "a%3A/+");
        assert_eq!(decode("a+b", true).unwrap(), "a b");
        assert_eq!(decode("%zz", false), None);
        assert_eq!(decode("%4", false), None);
        assert_eq!(decode("%ff", false), None);
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let key = "event=Größe %3A;\u{1}/x";
        assert_eq!(decode(&encode(key, b"/"), false).unwrap(), key);
        assert_eq!(encode("a b~", b"~"), "a%20b~");
    }

    #[test]
    fn parameters_keep_their_order() {
        let parsed = parse_query("list-type=2&prefix=a%2Fb&acl").unwrap();
        assert_eq!(parsed[1], ("prefix".to_owned(), "a/b".to_owned()));
        assert_eq!(parsed[2], ("acl".to_owned(), String::new()));
    }
}
