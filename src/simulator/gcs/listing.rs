//! The listing of the JSON interface.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::front::{self, Answer, Front};
use super::super::listing::{Listing, Marker, Query};
use super::super::object::Object;
use super::super::reply::{Body, Reply};
use super::fields::Fields;
use super::object::sum_up;
use super::resource::Origin;
use super::{GcsError, object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// A bomb is made of pieces of about this size.
const BOMB_PIECE_BYTES: usize = 64 * 1024;

/// Parameters that would change what is listed, and that nothing here follows.
const NOT_SIMULATED: [&str; 4] = ["filter", "includeTrailingDelimiter", "matchGlob", "softDeleted"];

/// How a listing is to be told, as far as the keys themselves do not say it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    fields: Fields,
    origin: Origin,
}

/// The page that the call asks for.
pub(crate) async fn list(front: &Front<'_>, call: &Call) -> Result<Answer, GcsError> {
    let query = query(front, call)?;
    let form = Form { fields: Fields::of_listing(call)?, origin: object::origin(front, call) };
    let page = front.page(Cloud::Gcs, &query);
    sum_up(page.objects.iter().map(|(_, object)| object.clone()).collect(), !form.origin.composite).await;
    let listing = Listing {
        bucket: form.origin.bucket.clone(),
        prefix: query.prefix,
        objects: page.objects,
        prefixes: page.prefixes,
        token: call.parameter("pageToken").map(str::to_owned),
        next_token: page.next.as_ref().map(token),
    };
    Ok(Answer::Listing(listing, front::Form::Gcs(form)))
}

fn query(front: &Front<'_>, call: &Call) -> Result<Query, GcsError> {
    if let Some(name) = NOT_SIMULATED.into_iter().find(|name| call.parameter(name).is_some()) {
        return Err(GcsError::invalid(name, "not simulated"));
    }
    let keys_max = match given(call, "maxResults") {
        Some(asked) => {
            let number = asked.parse::<usize>().ok().filter(|&number| number > 0);
            number.ok_or_else(|| GcsError::invalid("maxResults", asked))?
        }
        None => usize::MAX,
    };
    Ok(Query {
        prefix: given(call, "prefix").unwrap_or_default().to_owned(),
        delimiter: given(call, "delimiter").unwrap_or_default().to_owned(),
        marker: marker(call)?,
        keys_max: keys_max.min(front.settings.page_keys),
        end: given(call, "endOffset").map(str::to_owned),
    })
}

/// An empty parameter counts as none.
fn given<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.parameter(name).filter(|value| !value.is_empty())
}

fn marker(call: &Call) -> Result<Marker, GcsError> {
    match (given(call, "pageToken"), given(call, "startOffset")) {
        (Some(token), _) => marker_of(token).ok_or_else(|| GcsError::invalid("pageToken", token)),
        (None, Some(key)) => Ok(Marker::AtKey(key.to_owned())),
        (None, None) => Ok(Marker::Start),
    }
}

/// The opaque token of a marker. Like Google's it may hold characters that a query must escape.
pub(crate) fn token(marker: &Marker) -> String {
    STANDARD.encode(marker.text())
}

fn marker_of(token: &str) -> Option<Marker> {
    Marker::parse(&String::from_utf8(STANDARD.decode(token).ok()?).ok()?)
}

impl Form {
    /// The listing in JSON. What is empty is left out, as Google does.
    pub(crate) fn reply(&self, listing: &Listing) -> Reply {
        let origin = Origin { bucket: listing.bucket.clone(), ..self.origin.clone() };
        let describe = |(key, object): &(String, Arc<Object>)| origin.describe(key, object);
        let mut value = json!({"kind": "storage#objects"});
        if !listing.objects.is_empty() {
            value["items"] = listing.objects.iter().map(describe).collect::<Vec<Value>>().into();
        }
        if !listing.prefixes.is_empty() {
            value["prefixes"] = json!(listing.prefixes);
        }
        if let Some(token) = &listing.next_token {
            value["nextPageToken"] = json!(token);
        }
        object::json_reply(&self.fields.of(value))
    }

    /// A listing that repeats one key for about this number of bytes.
    pub(crate) fn bomb(&self, listing: &Listing, size_bytes: u64) -> Reply {
        let name = format!("{}part-00000.snappy.parquet", listing.prefix);
        let item = json!({"kind": "storage#object", "name": name, "size": "1", "generation": "1"}).to_string();
        let unit = Bytes::from(format!("{item},").repeat(BOMB_PIECE_BYTES / item.len() + 1));
        let times = size_bytes / unit.len() as u64;
        let head = Bytes::from_static(b"{\"kind\":\"storage#objects\",\"items\":[");
        let mut reply = object::json_reply(&Value::Null);
        reply.body = Body::Repeated { head, unit, times, tail: Bytes::from(format!("{item}]}}")) };
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_opaque_and_lead_back() {
        let markers = [Marker::AtKey("a?>".into()), Marker::AfterKey("a/ß".into()), Marker::AfterPrefix("a/".into())];
        for marker in markers {
            assert_eq!(marker_of(&token(&marker)), Some(marker));
        }
        for bad in ["", "%", "eA==", "_w"] {
            assert_eq!(marker_of(bad), None, "{bad}");
        }
    }
}
