//! An answer before it is sent: still whole, so that a fault can distort it.

use super::object::Object;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::ops::Range;
use std::sync::Arc;

/// The bytes of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Kept in memory.
    Bytes(Bytes),
    /// A range of an object, read while it is sent.
    Object(Arc<Object>, Range<u64>),
    /// A head, one piece many times over, and a tail: a bomb that costs no memory here.
    Repeated { head: Bytes, unit: Bytes, times: u64, tail: Bytes },
}

impl Body {
    /// The number of bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Object(_, range) => range.end - range.start,
            Self::Repeated { head, unit, times, tail } => (head.len() + tail.len()) as u64 + unit.len() as u64 * times,
        }
    }

    /// Some of the bytes from `offset` on, at most `bytes_max`; empty only at the end.
    pub(crate) fn read(&self, offset: u64, bytes_max: u64) -> Bytes {
        match self {
            Self::Bytes(bytes) => piece(bytes, offset, bytes_max),
            Self::Object(object, range) => {
                let start = range.start + offset;
                object.read(start..start.saturating_add(bytes_max).min(range.end))
            }
            Self::Repeated { head, unit, times, tail } => {
                let repeated = unit.len() as u64 * times;
                match offset.checked_sub(head.len() as u64) {
                    None => piece(head, offset, bytes_max),
                    Some(behind) if behind < repeated => piece(unit, behind % unit.len() as u64, bytes_max),
                    Some(behind) => piece(tail, behind - repeated, bytes_max),
                }
            }
        }
    }
}

fn piece(bytes: &Bytes, offset: u64, bytes_max: u64) -> Bytes {
    let start = offset.min(bytes.len() as u64);
    let end = start.saturating_add(bytes_max).min(bytes.len() as u64);
    bytes.slice(start as usize..end as usize)
}

/// What the head of the answer says about the length of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// The truth.
    True,
    /// Another number of bytes.
    Bytes(u64),
    /// Nothing: the body comes in chunks.
    Chunked,
}

/// What happens to the connection behind the last byte sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is kept for the next request.
    Keep,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
    /// Nothing: the client waits.
    Hang,
    /// These bytes follow, which belong to nothing, and then it is closed.
    Spill(Bytes),
}

/// An answer and how it goes wrong on its way.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) declared: Declared,
    /// No more of the body than this is sent.
    pub(crate) sent_bytes_max: u64,
    /// The byte of the body whose lowest bit is flipped.
    pub(crate) flipped: Option<u64>,
    pub(crate) ending: Ending,
}

impl Reply {
    /// A sound answer.
    pub(crate) fn new(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body,
            declared: Declared::True,
            sent_bytes_max: u64::MAX,
            flipped: None,
            ending: Ending::Keep,
        }
    }

    /// A sound answer of the content type with the text as its body.
    pub(crate) fn text(status: StatusCode, content_type: &'static str, text: String) -> Self {
        let mut reply = Self::new(status, Body::Bytes(text.into()));
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    /// Sets a header; a value that no header can hold is left out.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Adds a header that may be there already; a value that no header can hold is left out.
    pub(crate) fn more(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sets a header whose name is made up; one that no answer can have is left out.
    pub(crate) fn named(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Leaves a header out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The value of `Content-Length`, if there is to be one.
    pub(crate) fn content_length(&self) -> Option<(HeaderName, HeaderValue)> {
        let bytes = match self.declared {
            _ if self.status == StatusCode::NOT_MODIFIED => return None,
            Declared::True => self.body.length(),
            Declared::Bytes(bytes) => bytes,
            Declared::Chunked => return None,
        };
        Some((CONTENT_LENGTH, HeaderValue::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_body_reads_as_long_as_it_says() {
        let body = Body::Repeated {
            head: Bytes::from_static(b"<a>"),
            unit: Bytes::from_static(b"12345"),
            times: 4,
            tail: Bytes::from_static(b"</a>"),
        };
        let (mut text, mut offset) = (Vec::new(), 0);
        loop {
            let piece = body.read(offset, 2);
            offset += piece.len() as u64;
            if piece.is_empty() {
                break;
            }
            text.extend_from_slice(&piece);
        }
        assert_eq!(text, b"<a>12345123451234512345</a>");
        assert_eq!(text.len() as u64, body.length());
    }
}
