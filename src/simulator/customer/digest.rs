//! The checksums that writes carry and objects keep.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::s3::S3Error;
use super::super::seed::{base64, hex};
use crc_fast::{CrcAlgorithm, checksum};
use http::StatusCode;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A checksum algorithm of S3.
#[derive(Debug)]
pub(super) struct Algorithm {
    /// As in `x-amz-checksum-algorithm`, and behind `Checksum` in XML.
    pub(super) name: &'static str,
    /// The header that carries a checksum of it.
    pub(super) header: &'static str,
    compute: fn(&[u8]) -> Vec<u8>,
}

static ALGORITHMS: [Algorithm; 5] = [
    Algorithm {
        name: "CRC64NVME",
        header: "x-amz-checksum-crc64nvme",
        compute: |bytes| checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes().to_vec(),
    },
    Algorithm { name: "CRC32C", header: "x-amz-checksum-crc32c", compute: |bytes| crc32c(bytes).to_vec() },
    Algorithm {
        name: "CRC32",
        header: "x-amz-checksum-crc32",
        compute: |bytes| (checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32).to_be_bytes().to_vec(),
    },
    Algorithm { name: "SHA256", header: "x-amz-checksum-sha256", compute: |bytes| Sha256::digest(bytes).to_vec() },
    Algorithm { name: "SHA1", header: "x-amz-checksum-sha1", compute: |bytes| Sha1::digest(bytes).to_vec() },
];

impl Algorithm {
    /// What S3 computes when nobody names an algorithm.
    pub(super) fn usual() -> &'static Self {
        &ALGORITHMS[0]
    }

    /// All of them.
    pub(super) fn all() -> &'static [Self] {
        &ALGORITHMS
    }

    /// The algorithm of the name, in capitals.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
    }

    /// The checksum as bytes.
    pub(super) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        (self.compute)(bytes)
    }

    /// The checksum as it is sent: base64.
    pub(super) fn of(&self, bytes: &[u8]) -> String {
        base64(&self.raw(bytes))
    }
}

fn crc32c(bytes: &[u8]) -> [u8; 4] {
    (checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32).to_be_bytes()
}

/// CRC-32C as Google sends it: base64.
pub(super) fn google_crc32c(bytes: &[u8]) -> String {
    base64(&crc32c(bytes))
}

/// MD5 as bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The one algorithm of S3 that the call sends a checksum of, with its value.
pub(super) fn sent(call: &Call) -> Result<Option<(&'static Algorithm, &str)>, S3Error> {
    let mut found = ALGORITHMS.iter().filter_map(|algorithm| Some((algorithm, call.header(algorithm.header)?)));
    let first = found.next();
    if found.next().is_some() {
        return Err(refuse(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    Ok(first)
}

/// True if the call says what its body must be, as deletes in bulk and locked buckets demand.
pub(super) fn vouches(call: &Call) -> bool {
    call.header("content-md5").is_some() || sent(call).is_ok_and(|sent| sent.is_some())
}

/// Compares the body with the hash that S3's signature covers.
pub(super) fn check_signed_body(call: &Call, body: &[u8]) -> Result<(), S3Error> {
    let signed = call.header("x-amz-content-sha256").unwrap_or_default();
    if signed == "UNSIGNED-PAYLOAD" {
        return Ok(());
    }
    if signed.starts_with("STREAMING-")
        || call.header("content-encoding").is_some_and(|all| all.contains("aws-chunked"))
    {
        let message = "This simulator takes bodies as they are; aws-chunked ones are not implemented.";
        return Err(S3Error::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
    }
    let computed = hex(&Sha256::digest(body));
    if signed == computed {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Err(refuse("XAmzContentSHA256Mismatch", message)
        .with("ClientComputedContentSHA256", signed)
        .with("S3ComputedContentSHA256", &computed))
}

/// Compares the body with the checksums that the call sends of it.
pub(super) fn check_body(call: &Call, body: &[u8]) -> Result<(), S3Error> {
    if let Some(claimed) = call.header("content-md5") {
        compare("Content-MD5", claimed, &base64(&md5(body)))?;
    }
    match call.cloud {
        Cloud::S3 => match sent(call)? {
            Some((algorithm, claimed)) => compare(algorithm.name, claimed, &algorithm.of(body)),
            None => Ok(()),
        },
        Cloud::Gcs => check_google_hash(call, body),
    }
}

/// Compares bytes with `x-goog-hash`, which may stand there several times or hold a list.
pub(super) fn check_google_hash(call: &Call, body: &[u8]) -> Result<(), S3Error> {
    let headers = call.headers.get_all("x-goog-hash").iter();
    for claim in headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        match claim.trim().split_once('=') {
            Some(("crc32c", claimed)) => compare("CRC32C", claimed, &google_crc32c(body))?,
            Some(("md5", claimed)) => compare("MD5", claimed, &base64(&md5(body)))?,
            _ => return Err(refuse("InvalidArgument", "Invalid argument: x-goog-hash")),
        }
    }
    Ok(())
}

/// Compares a claimed checksum with the computed one.
pub(super) fn compare(name: &str, claimed: &str, computed: &str) -> Result<(), S3Error> {
    if claimed == computed {
        return Ok(());
    }
    let message = format!("The {name} you specified did not match the calculated checksum.");
    Err(refuse("BadDigest", &message).with("ExpectedDigest", claimed).with("CalculatedDigest", computed))
}

/// A refusal with status 400.
pub(super) fn refuse(code: &str, message: &str) -> S3Error {
    S3Error::new(StatusCode::BAD_REQUEST, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, value: &str) -> Call {
        let request = http::Request::put("/bucket/key").header(name, value);
        Call::new(1, request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_signed_hash_must_be_that_of_the_body() {
        let check = |value: &str| {
            check_signed_body(&call("x-amz-content-sha256", value), b"").map_err(|error| error.code).err()
        };
        assert_eq!(check("UNSIGNED-PAYLOAD"), None);
        assert_eq!(check("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), None);
        assert_eq!(check("00").unwrap(), "XAmzContentSHA256Mismatch");
        assert_eq!(check("STREAMING-UNSIGNED-PAYLOAD-TRAILER").unwrap(), "NotImplemented");
    }

    #[test]
    fn every_algorithm_is_verified() {
        let claims = [
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
            ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ];
        for (header, claim) in claims {
            assert_eq!(check_body(&call(header, claim), b"123456789"), Ok(()), "{header}");
            assert_eq!(check_body(&call(header, claim), b"12345678").unwrap_err().code, "BadDigest", "{header}");
        }
    }
}
