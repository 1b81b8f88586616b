//! Listings of the source at Google Cloud Storage, by its JSON API.

use bytes::Bytes;
use serde::Deserialize;

use super::{GcsProtocol, failure};
use crate::credentials::{GcpToken, Issued};
use crate::error::Result;
use crate::export::{Checksum, ChecksumAlgorithm, Checksums, Object};
use crate::net;
use crate::plan::listing_check::PageToken;
use crate::source::get;
use crate::source::page::{RawPage, untrusted};

/// The parts of a listing that are used; the rest is not even sent.
const FIELDS: &str = "kind,nextPageToken,prefixes,items(name,bucket,size,generation,crc32c,md5Hash)";

/// A page in the JSON API's own form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse {
    kind: String,
    next_page_token: Option<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    items: Vec<Item>,
}

/// An object in the JSON API's own form: 64-bit numbers are texts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    bucket: String,
    size: String,
    generation: String,
    crc32c: Option<String>,
    md5_hash: Option<String>,
}

impl GcsProtocol {
    /// One listing request.
    pub(super) async fn list_raw(
        &self,
        issued: &Issued<GcpToken>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage> {
        let bucket = &issued.location.bucket;
        let body = self.fetch_page(issued, &self.list_url(bucket, prefix, delimiter, from), prefix).await?;
        let answer: ListResponse =
            serde_json::from_slice(&body).map_err(|_| untrusted(prefix, "it is not a listing"))?;
        if answer.kind != "storage#objects" {
            return Err(untrusted(prefix, "it is not a listing"));
        }
        let objects = answer.items.into_iter().map(|item| read_object(item, bucket, prefix)).collect::<Result<_>>()?;
        // The JSON API echoes no prefix; every key is checked against it.
        Ok(RawPage { prefix: None, objects, folders: answer.prefixes, next_token: answer.next_page_token })
    }

    fn list_url(&self, bucket: &str, prefix: &str, delimiter: Option<&str>, from: Option<&PageToken>) -> String {
        let mut url = format!("{}?maxResults=1000&fields={FIELDS}&prefix=", self.objects_url(bucket));
        net::push_encoded(&mut url, prefix, b'.');
        if let Some(delimiter) = delimiter {
            url.push_str("&delimiter=");
            net::push_encoded(&mut url, delimiter, b'.');
        }
        if let Some(from) = from {
            url.push_str("&pageToken=");
            net::push_encoded(&mut url, &from.token, b'.');
        }
        url
    }

    async fn fetch_page(&self, issued: &Issued<GcpToken>, url: &str, prefix: &str) -> Result<Bytes> {
        let mut request = get::request(url, prefix, None)?;
        self.authorize(&mut request, &issued.credentials)?;
        let answer = self.getter.ask_for_page(request, prefix).await?;
        if !answer.status().is_success() {
            return Err(failure::of_response(answer, "LIST", prefix).await);
        }
        get::page(answer, prefix).await
    }
}

fn read_object(item: Item, bucket: &str, prefix: &str) -> Result<Object> {
    if item.bucket != bucket {
        return Err(untrusted(prefix, "it has objects of another bucket"));
    }
    let size_bytes = item.size.parse().map_err(|_| untrusted(prefix, "an object has no size"))?;
    let generation = item.generation.parse().map_err(|_| untrusted(prefix, "an object has no generation"))?;
    let checksums = Checksums::of(|algorithm| match algorithm {
        ChecksumAlgorithm::Crc32c => Checksum::parse(algorithm, item.crc32c.as_deref()?),
        ChecksumAlgorithm::Md5 => Checksum::parse(algorithm, item.md5_hash.as_deref()?),
        _ => None,
    });
    Ok(Object { key: item.name, size_bytes, generation: Some(generation), checksums, ..Object::default() })
}
