//! How each fault shows in an answer.

use super::super::front::Form;
use super::super::gcs::GENERATION;
use super::super::listing::{End, Listing, Marker, back_to};
use super::super::object::{Material, Object};
use super::super::reply::{Body, Declared, Ending, Reply};
use super::super::seed::derive;
use super::Action;
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use std::sync::Arc;

const HTML: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head>\
    <body><h1>Welcome to the network</h1></body></html>";

/// More bytes than this never follow an answer.
const SPILL_BYTES_MAX: u64 = 64 * 1024;

/// The answer that the fault gives instead of the true one; none for faults that let the request take its course.
pub(crate) fn instead(action: &Action, seed: u64) -> Option<Reply> {
    let ok = StatusCode::OK;
    match action {
        Action::Html200 => Some(Reply::text(ok, "text/html; charset=utf-8", HTML.to_owned())),
        Action::Page(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN);
            let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
            let page =
                format!("<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>gateway</body></html>");
            Some(Reply::text(status, "text/html", page))
        }
        Action::EmptyBody => Some(Reply::new(ok, Body::Bytes(Bytes::new()))),
        Action::Garbage => Some(Reply::new(ok, Body::Bytes(Bytes::copy_from_slice(&derive(seed, &["garbage"]))))),
        Action::Redirect(url) => {
            let reply = Reply::new(StatusCode::TEMPORARY_REDIRECT, Body::Bytes(Bytes::new()));
            Some(reply.header("location", url))
        }
        _ => None,
    }
}

/// Distorts a page of keys and tells it.
pub(crate) fn distort_listing(action: &Action, mut listing: Listing, form: &Form) -> Reply {
    match action {
        Action::RepeatToken => repeat_token(&mut listing, form),
        Action::WrongBucketName => listing.bucket.push_str("-other"),
        Action::WrongPrefix => wrong_prefix(&mut listing, form),
        Action::ForeignKeys => listing.objects.push(foreign(&listing)),
        Action::Unsorted => {
            listing.objects.reverse();
            listing.prefixes.reverse();
        }
        Action::RepeatKey => lead_back(End::Last, &mut listing, form),
        Action::StepBack => lead_back(End::First, &mut listing, form),
        Action::EmptyListing => {
            listing.objects.clear();
            listing.prefixes.clear();
            listing.next_token = None;
        }
        Action::HugePage(size_bytes) => return form.bomb(&listing, *size_bytes),
        _ => {}
    }
    let mut reply = form.reply(&listing);
    if *action == Action::TruncatedXml {
        let half = reply.body.length() / 2;
        reply.body = Body::Bytes(reply.body.read(0, half));
    }
    reply
}

/// The first page has no token to repeat, so it gets one that leads to a page which repeats it.
fn repeat_token(listing: &mut Listing, form: &Form) {
    let last = listing.objects.last().map_or(Marker::Start, |(key, _)| Marker::AfterKey(key.clone()));
    listing.next_token = Some(listing.token.clone().unwrap_or_else(|| form.token(&last)));
}

/// The next page, where there is one, begins at the first or the last key of this one.
fn lead_back(end: End, listing: &mut Listing, form: &Form) {
    if listing.next_token.is_some() {
        let marker = back_to(end, &listing.objects, &listing.prefixes);
        listing.next_token = marker.map(|marker| form.token(&marker));
    }
}

/// Where the answer does not name its prefix, the keys are those of the other one.
fn wrong_prefix(listing: &mut Listing, form: &Form) {
    const OTHER: &str = "v1/account_id=1/";
    let prefix = std::mem::replace(&mut listing.prefix, OTHER.to_owned());
    if form.echoes_prefix() {
        return;
    }
    let moved = |key: &str| format!("{OTHER}{}", key.strip_prefix(&prefix).unwrap_or(key));
    listing.objects.iter_mut().for_each(|(key, _)| *key = moved(key));
    listing.prefixes.iter_mut().for_each(|key| *key = moved(key));
}

/// A key that sorts behind all others of the page but lies below another prefix.
fn foreign(listing: &Listing) -> (String, Arc<Object>) {
    let key = format!("{}~foreign/part-00000.snappy.parquet", listing.prefix.trim_end_matches('/'));
    let material = Material::Stored(Bytes::from_static(b"foreign"));
    (key, Arc::new(Object::new(material, 0, Timestamp::UNIX_EPOCH)))
}

/// Distorts the bytes or the head of a sound answer.
pub(crate) fn distort(action: &Action, reply: &mut Reply) {
    match *action {
        Action::Stall(bytes) => end(reply, bytes, Ending::Hang),
        Action::Cut(bytes) => end(reply, bytes, Ending::Close),
        Action::Reset(bytes) => end(reply, bytes, Ending::Reset),
        Action::FlipBit(byte) => reply.flipped = Some(byte),
        Action::ShortChunked(bytes) => {
            reply.declared = Declared::Chunked;
            end(reply, bytes, Ending::Keep);
        }
        Action::LyingLength(difference) => lie(reply, difference),
        Action::WrongContentRange => shift_range(reply),
        Action::WrongETag => other_version(reply),
        _ => {}
    }
}

/// Another tag, and another generation where the answer has one.
fn other_version(reply: &mut Reply) {
    *reply = reply.clone().header("etag", "\"00000000000000000000000000000000\"");
    let generation = reply.headers.get(GENERATION).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(generation) = generation {
        *reply = reply.clone().header(GENERATION, &(generation + 1).to_string());
    }
}

fn end(reply: &mut Reply, bytes: u64, ending: Ending) {
    reply.sent_bytes_max = bytes;
    reply.ending = ending;
}

fn lie(reply: &mut Reply, difference: i64) {
    let true_bytes = reply.body.length();
    let declared = true_bytes.saturating_add_signed(difference);
    reply.declared = Declared::Bytes(declared);
    let ending =
        if declared < true_bytes { Ending::Spill(reply.body.read(declared, SPILL_BYTES_MAX)) } else { Ending::Close };
    end(reply, declared, ending);
}

fn shift_range(reply: &mut Reply) {
    let header = reply.headers.get("content-range").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let numbers: Vec<u64> = header.split([' ', '-', '/']).filter_map(|number| number.parse().ok()).collect();
    if let [first, last, size] = numbers[..] {
        let shifted = format!("bytes {}-{}/{size}", first + 1, last + 1);
        *reply = reply.clone().header("content-range", &shifted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        let body = Body::Bytes(Bytes::from_static(b"0123456789"));
        Reply::new(StatusCode::PARTIAL_CONTENT, body).header("content-range", "bytes 5-14/20")
    }

    #[test]
    fn a_length_can_be_too_large_or_too_small() {
        let lied = |difference| {
            let mut reply = reply();
            distort(&Action::LyingLength(difference), &mut reply);
            (reply.declared, reply.ending)
        };
        assert_eq!(lied(3), (Declared::Bytes(13), Ending::Close));
        assert_eq!(lied(-3), (Declared::Bytes(7), Ending::Spill(Bytes::from_static(b"789"))));
        assert_eq!(lied(-99).0, Declared::Bytes(0));
    }

    #[test]
    fn a_shifted_range_keeps_its_length() {
        let mut reply = reply();
        distort(&Action::WrongContentRange, &mut reply);
        assert_eq!(reply.headers["content-range"], "bytes 6-15/20");
    }

    #[test]
    fn only_some_faults_answer_themselves() {
        assert!(instead(&Action::Cut(1), 1).is_none());
        let reply = instead(&Action::Redirect("http://127.0.0.1:1/".to_owned()), 1).unwrap();
        assert_eq!((reply.status.as_u16(), &reply.headers["location"]), (307, &"http://127.0.0.1:1/".parse().unwrap()));
    }
}
