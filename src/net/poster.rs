//! Posting JSON to a server of the user's own, over the same network settings as everything else.

use std::time::Duration;

use http::{HeaderValue, Method, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::{HttpClient, NetSettings, RawAnswer, SentBody, bearer, build_client, request};
use crate::error::Result;

/// Posts JSON documents to one address.
pub struct JsonPoster {
    client: HttpClient,
    url: Url,
    bearer: Option<SecretString>,
    timeout: Duration,
}

impl JsonPoster {
    /// Documents go to `url`, with a bearer token if there is one; an answer may take as long as `timeout`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a proxy or a CA bundle that cannot be used.
    pub fn new(net: &NetSettings, url: Url, bearer: Option<SecretString>, timeout: Duration) -> Result<Self> {
        Ok(Self { client: build_client(net)?, url, bearer, timeout })
    }

    /// Posts a document once, and gives the status of the answer.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unavailable`] where no answer comes.
    pub async fn post(&self, document: &Value) -> Result<u16> {
        let mut request = request(Method::POST, self.url.as_str(), SentBody::bytes(document.to_string()))?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer(token.expose_secret())?);
        }
        // What the answer says besides its status is nobody's business here.
        let answer = RawAnswer::ask(&self.client, request, "a document", 0, self.timeout).await?;
        Ok(answer.status.as_u16())
    }
}
