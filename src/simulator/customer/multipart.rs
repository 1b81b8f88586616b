//! Multipart uploads.

use super::super::account::Cloud;
use super::super::clock::iso_date;
use super::super::range::{Asked as Wanted, parse};
use super::super::reply::Reply;
use super::super::s3::S3Error;
use super::super::seed::{base64, derive_url_safe, hex};
use super::super::xml::{element, elements, unescape};
use super::copy::{Labels, StoredCopy, Sum, coverage};
use super::digest::{Algorithm, check_body, check_google_hash, compare, md5, refuse, sent};
use super::front::{Asked, condition, document, empty};
use super::object::{check_vouched, checksum_elements, copy_source, identify};
use super::quirk::Quirk;
use super::store::{StoredPart, Upload};
use bytes::{Bytes, BytesMut};
use http::StatusCode;

/// The highest number of a part, at both clouds.
const PART_NUMBER_MAX: u32 = 10_000;

/// CreateMultipartUpload.
pub(super) fn create(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let (algorithm, is_composite) = summing(asked)?;
    let service = asked.service;
    let number = service.next_upload().to_string();
    let id = derive_url_safe(service.settings.seed, &["upload", asked.key, &number], 43);
    let begun_at = service.clock.now();
    let upload =
        Upload { labels: Labels::of(asked.call), algorithm, is_composite, begun_at, parts: Default::default() };
    service.store.begin_upload(asked.key, id.clone(), upload);
    let inner = element("Bucket", &service.settings.bucket) + &element("Key", asked.key) + &element("UploadId", &id);
    let reply = document("InitiateMultipartUploadResult", &inner);
    Ok(match asked.call.cloud {
        Cloud::S3 => reply
            .header("x-amz-checksum-algorithm", algorithm.name)
            .header("x-amz-checksum-type", coverage(is_composite)),
        Cloud::Gcs => reply,
    })
}

/// The algorithm of the object to be, and whether it is applied to its parts' checksums and not to its bytes.
fn summing(asked: &Asked<'_>) -> Result<(&'static Algorithm, bool), S3Error> {
    let name = asked.call.header("x-amz-checksum-algorithm");
    let algorithm = match name {
        Some(name) => Algorithm::find(name)
            .ok_or_else(|| refuse("InvalidRequest", "Checksum algorithm provided is unsupported."))?,
        None => Algorithm::usual(),
    };
    let is_crc64 = algorithm.name == Algorithm::usual().name;
    let is_composite = match asked.call.header("x-amz-checksum-type") {
        Some("FULL_OBJECT") => false,
        Some("COMPOSITE") => true,
        Some(_) => return Err(refuse("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")),
        None => !is_crc64,
    };
    // A hash of the whole cannot be put together from hashes of parts, and CRC-64 has no composite form.
    if is_composite == is_crc64 || !is_composite && algorithm.name.starts_with("SHA") {
        let message = format!("The checksum type cannot be used with the {} checksum algorithm.", algorithm.name);
        return Err(refuse("InvalidRequest", &message));
    }
    Ok((algorithm, is_composite))
}

/// The key and the id of the upload that the call is about.
fn place(asked: &Asked<'_>) -> (String, String) {
    (asked.key.to_owned(), asked.call.parameter("uploadId").unwrap_or_default().to_owned())
}

fn part_number(asked: &Asked<'_>) -> Result<u32, S3Error> {
    let number = asked.call.parameter("partNumber").and_then(|number| number.parse().ok());
    number
        .filter(|number| (1..=PART_NUMBER_MAX).contains(number))
        .ok_or_else(|| refuse("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"))
}

/// UploadPart.
pub(super) fn upload_part(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    check_vouched(asked)?;
    check_body(asked.call, asked.body)?;
    let kept = asked.service.store.algorithm(&place(asked))?;
    if let Some((algorithm, _)) = sent(asked.call)?
        && algorithm.name != kept.name
    {
        let message = format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            kept.name, algorithm.name
        );
        return Err(refuse("InvalidRequest", &message));
    }
    let (part, sum) = keep(asked, kept, asked.body.clone())?;
    let reply = empty(StatusCode::OK).header("etag", &part.etag);
    Ok(match asked.call.cloud {
        Cloud::S3 => reply.header(kept.header, &sum),
        Cloud::Gcs => {
            let crc32c = super::digest::google_crc32c(asked.body);
            let reply = reply.more("x-goog-hash", &format!("crc32c={crc32c}"));
            reply.more("x-goog-hash", &format!("md5={}", base64(&md5(asked.body))))
        }
    })
}

/// UploadPartCopy.
pub(super) fn copy_part(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let source = copy_source(asked)?;
    let bytes = match parse(asked.call.header("x-amz-copy-source-range"), source.bytes.len() as u64) {
        Wanted::Whole => source.bytes.clone(),
        Wanted::Part(range) => source.bytes.slice(range.start as usize..range.end as usize),
        Wanted::Unsatisfiable => return Err(refuse("InvalidRange", "The requested range is not valid")),
    };
    let kept = asked.service.store.algorithm(&place(asked))?;
    let (part, sum) = keep(asked, kept, bytes)?;
    let inner = element("LastModified", &iso_date(asked.service.clock.now()))
        + &element("ETag", &part.etag)
        + &element(&format!("Checksum{}", kept.name), &sum);
    Ok(document("CopyPartResult", &inner))
}

/// Keeps a part, and gives its checksum as it is sent.
fn keep(asked: &Asked<'_>, algorithm: &Algorithm, bytes: Bytes) -> Result<(StoredPart, String), S3Error> {
    let etag = format!("\"{}\"", hex(&md5(&bytes)));
    let checksum = algorithm.raw(&bytes);
    let sum = base64(&checksum);
    let part = StoredPart { bytes, etag, checksum };
    asked.service.store.put_part(&place(asked), part_number(asked)?, part.clone())?;
    Ok((part, sum))
}

/// CompleteMultipartUpload.
pub(super) fn complete(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let upload = asked.service.store.upload(&place(asked))?;
    let parts = chosen(asked, &upload)?;
    let copy = assemble(asked, &upload, &parts)?;
    let stored = asked.service.store.finish_upload(&place(asked), copy, &condition(asked)?)?;
    let bucket = &asked.service.settings.bucket;
    let mut inner = element("Location", &format!("/{bucket}/{}", asked.key));
    inner += &(element("Bucket", bucket) + &element("Key", asked.key) + &element("ETag", &stored.etag));
    if asked.call.cloud == Cloud::S3 {
        inner += &checksum_elements(&stored);
    }
    let reply = identify(asked, document("CompleteMultipartUploadResult", &inner), &stored, false);
    Ok(match asked.call.cloud {
        Cloud::Gcs => reply,
        // S3 names the entity tag in the body only.
        Cloud::S3 => reply.without("etag"),
    })
}

/// The parts that the body names, in their order.
fn chosen<'a>(asked: &Asked<'_>, upload: &'a Upload) -> Result<Vec<&'a StoredPart>, S3Error> {
    let text = String::from_utf8_lossy(asked.body);
    let mut parts = Vec::new();
    let mut last = 0;
    for named in elements(&text, "Part") {
        let field = |name: &str| elements(named, name).next().map(unescape);
        let number = field("PartNumber").and_then(|number| number.parse::<u32>().ok()).ok_or_else(malformed)?;
        if number <= last {
            let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(refuse("InvalidPartOrder", message));
        }
        last = number;
        let etag = field("ETag").ok_or_else(malformed)?;
        let part = upload.parts.get(&number).filter(|part| part.etag.trim_matches('"') == etag.trim_matches('"'));
        let part = part.ok_or_else(|| invalid_part(number))?;
        match field(&format!("Checksum{}", upload.algorithm.name)) {
            Some(sum) if sum != base64(&part.checksum) => return Err(invalid_part(number)),
            None if upload.is_composite => return Err(missing_checksum(upload, number)),
            _ => {}
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err(malformed());
    }
    check_sizes(asked, &parts)?;
    Ok(parts)
}

fn check_sizes(asked: &Asked<'_>, parts: &[&StoredPart]) -> Result<(), S3Error> {
    let least = asked.service.settings.part_bytes_min;
    let sizes = parts.iter().map(|part| part.bytes.len() as u64);
    if sizes.clone().take(parts.len() - 1).any(|size| size < least) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(refuse("EntityTooSmall", message).with("MinSizeAllowed", &least.to_string()));
    }
    let must_be_equal = asked.call.cloud == Cloud::S3 && asked.service.settings.quirks.contains(&Quirk::EqualParts);
    let mut but_last = sizes.clone().take(parts.len() - 1);
    if let Some(first) = but_last.next().filter(|_| must_be_equal)
        && (but_last.any(|size| size != first) || sizes.clone().next_back().is_some_and(|last| last > first))
    {
        return Err(refuse("InvalidPart", "All non-trailing parts must have the same length."));
    }
    let said = asked.call.header("x-amz-mp-object-size").map(str::parse::<u64>);
    if said.is_some_and(|said| said != Ok(sizes.sum())) {
        let message = "The provided 'x-amz-mp-object-size' header does not match what was computed.";
        return Err(refuse("InvalidRequest", message));
    }
    Ok(())
}

/// The object that the parts make, if it is what the call says.
fn assemble(asked: &Asked<'_>, upload: &Upload, parts: &[&StoredPart]) -> Result<StoredCopy, S3Error> {
    let mut bytes = BytesMut::new();
    let (mut digests, mut checksums) = (Vec::new(), Vec::new());
    for part in parts {
        bytes.extend_from_slice(&part.bytes);
        digests.extend_from_slice(&md5(&part.bytes));
        checksums.extend_from_slice(&part.checksum);
    }
    let count = parts.len() as u32;
    let composite = upload.is_composite.then(|| format!("{}-{count}", upload.algorithm.of(&checksums)));
    let sum = Sum { algorithm: upload.algorithm, composite, parts: Some((count, digests)) };
    let copy = upload.labels.clone().copy(bytes.freeze(), &sum, asked.service.clock.now());
    match asked.call.cloud {
        Cloud::Gcs => check_google_hash(asked.call, &copy.bytes)?,
        Cloud::S3 => {
            let kind = asked.call.header("x-amz-checksum-type");
            if kind.is_some_and(|kind| kind != coverage(upload.is_composite)) {
                let message = "The complete request must use the same checksum mode as the upload was created with.";
                return Err(refuse("InvalidRequest", message));
            }
            if let Some((algorithm, claimed)) = sent(asked.call)? {
                let computed = copy.checksums.get(algorithm.header).map(String::as_str).unwrap_or_default();
                compare(algorithm.name, claimed, computed)?;
            }
        }
    }
    Ok(copy)
}

/// A composite checksum is put together from what the call says of the parts.
fn missing_checksum(upload: &Upload, number: u32) -> S3Error {
    let message = format!(
        "The upload was created using a {} checksum. The complete request must include the checksum for each part. It \
         was missing for part {number} in the request.",
        upload.algorithm.name
    );
    refuse("InvalidRequest", &message)
}

fn malformed() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    refuse("MalformedXML", message)
}

fn invalid_part(number: u32) -> S3Error {
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                   specified entity tag may not match the part's entity tag.";
    refuse("InvalidPart", message).with("PartNumber", &number.to_string())
}

/// AbortMultipartUpload.
pub(super) fn abort(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    asked.service.store.abort_upload(&place(asked)).map(|()| empty(StatusCode::NO_CONTENT))
}

/// ListParts.
pub(super) fn list_parts(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let upload = asked.service.store.upload(&place(asked))?;
    let number = |name: &str| asked.call.parameter(name).and_then(|number| number.parse::<u32>().ok());
    let limit = number("max-parts").map_or(usize::MAX, |number| number as usize);
    let limit = limit.min(asked.service.settings.page_keys_max).max(1);
    let behind = number("part-number-marker").unwrap_or(0).saturating_add(1);
    let mut rest = upload.parts.range(behind..);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let is_truncated = rest.next().is_some();
    let bucket = &asked.service.settings.bucket;
    let mut inner = element("Bucket", bucket) + &element("Key", asked.key) + &element("UploadId", &place(asked).1);
    if let Some((last, _)) = page.last().filter(|_| is_truncated) {
        inner += &element("NextPartNumberMarker", &last.to_string());
    }
    inner += &(element("MaxParts", &limit.to_string()) + &element("IsTruncated", &is_truncated.to_string()));
    for (number, part) in page {
        let fields = element("PartNumber", &number.to_string())
            + &element("LastModified", &iso_date(upload.begun_at))
            + &element("ETag", &part.etag)
            + &element("Size", &part.bytes.len().to_string())
            + &element(&format!("Checksum{}", upload.algorithm.name), &base64(&part.checksum));
        inner += &format!("<Part>{fields}</Part>");
    }
    Ok(document("ListPartsResult", &inner))
}
