//! Signs requests to S3 (AWS Signature Version 4, in the form of Amazon S3: keys are escaped once, and no
//! path is normalised). The key of a day is derived once.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, Request, header};
use jiff::Timestamp;
use jiff::tz::Offset;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::AwsCredentials;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::to_hex;

/// The SHA-256 of no bytes, as the signature names the payload of a request without a body.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What the signature says of a body that it does not cover.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// What a request's signature says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedPayload {
    /// There is none.
    Empty,
    /// It is verified by a checksum in a signed header; hashing it once more would only cost time.
    Unsigned,
}

/// Signs for one region.
pub(crate) struct Signer {
    region: String,
    /// The key that was used last.
    key: Mutex<Option<Arc<DayKey>>>,
}

/// A signing key, and what it was derived from.
struct DayKey {
    credentials: AwsCredentials,
    /// `20261120`.
    day: [u8; 8],
    /// `20261120/us-east-1/s3/aws4_request`.
    scope: String,
    mac: Hmac<Sha256>,
}

impl Signer {
    /// A signer for a region.
    pub fn new(region: &str) -> Self {
        Self { region: region.to_owned(), key: Mutex::new(None) }
    }

    /// Adds the headers of the signature. All headers that the request has by now are signed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for what cannot stand in a header.
    pub fn sign<B>(
        &self,
        request: &mut Request<B>,
        payload: SignedPayload,
        credentials: &AwsCredentials,
        now: Timestamp,
    ) -> Result<()> {
        let time = amz_date(now);
        let day: [u8; 8] = std::array::from_fn(|place| time[place]);
        let key = self.key_of(credentials, day)?;
        let payload = match payload {
            SignedPayload::Empty => EMPTY_SHA256,
            SignedPayload::Unsigned => UNSIGNED_PAYLOAD,
        };
        add_headers(request.headers_mut(), credentials, payload, time)?;
        let (canonical, names) = canonical_request(request, payload);
        let mut to_sign = String::with_capacity(160);
        to_sign.push_str("AWS4-HMAC-SHA256\n");
        time.iter().for_each(|byte| to_sign.push(char::from(*byte)));
        let _ = write!(to_sign, "\n{}\n{}", key.scope, to_hex(&Sha256::digest(canonical)));
        let signature = key.mac.clone().chain_update(to_sign).finalize().into_bytes();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={}",
            credentials.access_key_id,
            key.scope,
            to_hex(&signature)
        );
        let mut authorization = HeaderValue::try_from(authorization).map_err(unsignable)?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        Ok(())
    }

    fn key_of(&self, credentials: &AwsCredentials, day: [u8; 8]) -> Result<Arc<DayKey>> {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = kept.as_ref().filter(|key| key.day == day && key.is_of(credentials)) {
            return Ok(key.clone());
        }
        let key = Arc::new(DayKey::derive(credentials, day, &self.region)?);
        *kept = Some(key.clone());
        Ok(key)
    }
}

impl DayKey {
    fn derive(credentials: &AwsCredentials, day: [u8; 8], region: &str) -> Result<Self> {
        let day_text: String = day.iter().map(|byte| char::from(*byte)).collect();
        let secret = format!("AWS4{}", credentials.secret_access_key.expose_secret());
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(unsignable)?;
        for part in [day_text.as_str(), region, "s3", "aws4_request"] {
            let key = mac.chain_update(part).finalize().into_bytes();
            mac = Hmac::new_from_slice(&key).map_err(unsignable)?;
        }
        let scope = format!("{day_text}/{region}/s3/aws4_request");
        Ok(Self { credentials: credentials.clone(), day, scope, mac })
    }

    fn is_of(&self, credentials: &AwsCredentials) -> bool {
        self.credentials.access_key_id == credentials.access_key_id
            && self.credentials.secret_access_key.expose_secret() == credentials.secret_access_key.expose_secret()
    }
}

fn unsignable(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "a request cannot be signed").with_cause(cause)
}

/// `20261120T101112Z`.
fn amz_date(now: Timestamp) -> [u8; 16] {
    let now = Offset::UTC.to_datetime(now);
    let mut text = *b"00000000T000000Z";
    let mut put = |place: usize, digits: usize, mut number: u32| {
        for place in (place..place + digits).rev() {
            text[place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, now.year().unsigned_abs().into());
    put(4, 2, now.month().unsigned_abs().into());
    put(6, 2, now.day().unsigned_abs().into());
    put(9, 2, now.hour().unsigned_abs().into());
    put(11, 2, now.minute().unsigned_abs().into());
    put(13, 2, now.second().unsigned_abs().into());
    text
}

fn add_headers(
    headers: &mut HeaderMap,
    credentials: &AwsCredentials,
    payload: &'static str,
    time: [u8; 16],
) -> Result<()> {
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(payload));
    headers.insert("x-amz-date", HeaderValue::from_bytes(&time).map_err(unsignable)?);
    if let Some(token) = &credentials.session_token {
        let mut token = HeaderValue::try_from(token.expose_secret()).map_err(unsignable)?;
        token.set_sensitive(true);
        headers.insert("x-amz-security-token", token);
    }
    Ok(())
}

/// The text whose digest is signed, and the names of the headers in it.
fn canonical_request<B>(request: &Request<B>, payload: &str) -> (Vec<u8>, String) {
    let uri = request.uri();
    let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut headers: Vec<(&str, &[u8])> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    headers.push(("host", host.as_bytes()));
    headers.sort_unstable();
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(request.method().as_str().as_bytes());
    text.push(b'\n');
    text.extend_from_slice(uri.path().as_bytes());
    text.push(b'\n');
    push_query(&mut text, uri.query().unwrap_or_default());
    text.push(b'\n');
    let mut names = String::with_capacity(128);
    for (name, value) in headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        push_trimmed(&mut text, value);
        text.push(b'\n');
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    }
    text.push(b'\n');
    text.extend_from_slice(names.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    (text, names)
}

/// The parameters in ascending order, each with an equals sign.
fn push_query(text: &mut Vec<u8>, query: &str) {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    for (number, (name, value)) in pairs.into_iter().enumerate() {
        if number > 0 {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
    }
}

/// A value without blanks around it, and with one where there are several.
fn push_trimmed(text: &mut Vec<u8>, value: &[u8]) {
    let mut has_blank = false;
    for byte in value.trim_ascii() {
        if *byte == b' ' && has_blank {
            continue;
        }
        has_blank = *byte == b' ';
        text.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials of the documented examples.
    fn documented() -> AwsCredentials {
        AwsCredentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        }
    }

    fn signature(request: Request<()>) -> String {
        let (mut request, now) = (request, "2013-05-24T00:00:00Z".parse().unwrap());
        Signer::new("us-east-1").sign(&mut request, SignedPayload::Empty, &documented(), now).unwrap();
        let authorization = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        authorization.rsplit_once('=').unwrap().1.to_owned()
    }

    /// The examples of "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API Reference.
    #[test]
    fn the_documented_requests_have_the_documented_signatures() {
        let host = "https://examplebucket.s3.amazonaws.com";
        let get = Request::get(format!("{host}/test.txt")).header("range", "bytes=0-9").body(()).unwrap();
        assert_eq!(signature(get), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        let lifecycle = Request::get(format!("{host}/?lifecycle")).body(()).unwrap();
        assert_eq!(signature(lifecycle), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        let list = Request::get(format!("{host}/?prefix=J&max-keys=2")).body(()).unwrap();
        assert_eq!(signature(list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn a_key_is_derived_anew_for_another_day_and_other_credentials() {
        let signer = Signer::new("us-east-1");
        let key = |credentials: &AwsCredentials, day: &[u8; 8]| signer.key_of(credentials, *day).unwrap();
        let first = key(&documented(), b"20130524");
        assert!(Arc::ptr_eq(&first, &key(&documented(), b"20130524")));
        assert!(!Arc::ptr_eq(&first, &key(&documented(), b"20130525")));
        let renewed = AwsCredentials { secret_access_key: "another".into(), ..documented() };
        let first = key(&documented(), b"20130524");
        assert!(!Arc::ptr_eq(&first, &key(&renewed, b"20130524")));
    }

    #[test]
    fn blanks_in_values_are_signed_as_servers_read_them() {
        let mut text = Vec::new();
        push_trimmed(&mut text, b"  a   b c  ");
        assert_eq!(text, b"a b c");
    }
}
