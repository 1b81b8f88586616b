//! The metadata server of a machine at Google.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};

use super::token::{Asker, Bearer};
use super::token_server::{TokenAnswer, answer, refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::{self, SentBody};

/// The server by its name and, where names are not resolved, by its address. Both are reached only
/// from inside the machine, which is why plain HTTP serves.
const HOSTS: [&str; 2] = ["metadata.google.internal", "169.254.169.254"];

const PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";

/// It answers from memory; elsewhere nobody answers.
const TIMEOUT: Duration = Duration::from_secs(5);

const NAME: &str = "the metadata server of this machine";

const HINT: &str = "outside Google Cloud name a credentials file with GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`; inside, give the machine a service account";

/// Where a machine asks for its own tokens.
pub(super) struct MetadataServer(Vec<String>);

impl MetadataServer {
    /// The server at Google's addresses, or at another `HOST[:PORT]`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a host that is none.
    pub fn at(host: Option<&str>) -> Result<Self> {
        let Some(host) = host else { return Ok(Self(HOSTS.map(url).into())) };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        if !host.bytes().all(is_host) {
            let what = format!("`{}` is no host for the metadata server", printable(host));
            return Err(Error::new(ErrorKind::Usage, what).with_hint("set GCE_METADATA_HOST to HOST or HOST:PORT"));
        }
        Ok(Self(vec![url(host)]))
    }

    /// A token of the machine's service account.
    pub async fn issue(&self, asker: &Asker) -> Result<Bearer> {
        let mut last = Error::new(ErrorKind::Internal, "there is no metadata server to ask");
        for url in &self.0 {
            let mut request = net::request(Method::GET, url, SentBody::empty())?;
            request.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
            match answer(&asker.client, request, NAME, TIMEOUT).await {
                // By this header alone is Google's server told from another network's device.
                Ok(answer)
                    if answer.status == StatusCode::OK
                        && answer.headers.get("metadata-flavor").map(HeaderValue::as_bytes) == Some(b"Google") =>
                {
                    let document: serde_json::Result<TokenAnswer> = serde_json::from_slice(&answer.body);
                    let no_token = |_| Error::new(ErrorKind::Protocol, format!("the answer of {NAME} holds no token"));
                    return document.map(TokenAnswer::into_bearer).map_err(no_token);
                }
                Ok(answer) if answer.status.is_success() => {
                    let what = format!("what answers in the place of {NAME} is not Google's");
                    last = Error::new(ErrorKind::AccessDenied, what);
                }
                Ok(answer) => last = refusal(&answer, NAME, HINT),
                Err(error) => last = error,
            }
        }
        Err(last.with_hint(HINT))
    }
}

fn url(host: &str) -> String {
    format!("http://{host}/{PATH}")
}
