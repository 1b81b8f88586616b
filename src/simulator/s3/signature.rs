//! AWS Signature Version 4 in the `Authorization` header, from the verifier's side.

use super::super::call::Call;
use super::super::seed::hex;
use super::super::uri::{decode, encode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNRESERVED: &[u8] = b"-._~";
const UNRESERVED_IN_PATH: &[u8] = b"-._~/";

/// A taken-apart `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    pub(crate) access_key_id: &'a str,
    /// `YYYYMMDD`.
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Takes the header apart; none if it has another form.
    pub(crate) fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope[..] else {
            return None;
        };
        let signed_headers = field("SignedHeaders")?.split(';').collect();
        let signature = field("Signature")?;
        Some(Self { access_key_id, date, region, service, signed_headers, signature })
    }

    /// The signature that the call should carry, in lower-case hexadecimal. `time` is `x-amz-date` as sent.
    pub(crate) fn expected(&self, call: &Call, secret_access_key: &str, time: &str) -> String {
        let request = hex(&Sha256::digest(canonical_request(call, &self.signed_headers)));
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{request}");
        let secret = format!("AWS4{secret_access_key}");
        let steps = [self.date, self.region, self.service, "aws4_request"];
        let key = steps.iter().fold(secret.into_bytes(), |key, step| sign(&key, step));
        hex(&sign(&key, &text))
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// S3 decodes the path once and encodes it once, and never removes dots or double slashes.
fn canonical_request(call: &Call, signed_headers: &[&str]) -> String {
    let path = decode(&call.path, false).unwrap_or_default();
    let headers: String = signed_headers.iter().map(|name| canonical_header(call, name)).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        call.method,
        encode(&path, UNRESERVED_IN_PATH),
        canonical_query(call),
        signed_headers.join(";"),
        call.header("x-amz-content-sha256").unwrap_or_default()
    )
}

fn canonical_query(call: &Call) -> String {
    let encoded = |text: &String| encode(text, UNRESERVED);
    let mut pairs: Vec<_> = call.query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn canonical_header(call: &Call, name: &str) -> String {
    let values = call.headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    format!("{name}:{}\n", values.join(","))
}

/// Compares without stopping at the first difference.
pub(crate) fn same(left: &str, right: &str) -> bool {
    let differing = left.bytes().zip(right.bytes()).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// The signatures of "Authenticating Requests (AWS Signature Version 4)" in the S3 API Reference.
    #[test]
    fn the_published_examples_have_the_published_signatures() {
        let cases = [
            ("/test.txt", true, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            ("/?lifecycle", false, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("/?max-keys=2&prefix=J", false, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ];
        for (uri, ranged, expected) in cases {
            let range = if ranged { "range;" } else { "" };
            let header = format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;{range}x-amz-content-sha256;x-amz-date,Signature={expected}"
            );
            let authorization = Authorization::parse(&header).unwrap();
            let signature = authorization.expected(&example(uri), SECRET, "20130524T000000Z");
            assert!(same(&signature, authorization.signature), "{uri}");
        }
    }

    fn example(uri: &str) -> Call {
        let request = http::Request::get(uri)
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .header("x-amz-content-sha256", EMPTY)
            .header("x-amz-date", "20130524T000000Z");
        Call::new(1, request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn other_forms_of_the_header_are_refused() {
        let good = "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        assert_eq!(Authorization::parse(good).unwrap().signed_headers, ["host"]);
        for bad in ["", "Bearer x", &good.replace("/s3/", "/"), &good.replace("Signature", "Sig")] {
            assert_eq!(Authorization::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn comparison_minds_length_and_content() {
        assert!(same("ab", "ab"));
        assert!(!same("ab", "abc") && !same("ab", "aa") && !same("", "a"));
    }
}
