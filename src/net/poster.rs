//! Posting JSON to a server of the user's own, over the same network settings as everything else.

use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::{NetSettings, RawAnswer, build_client};
use crate::error::{Error, ErrorKind, Result};

/// Posts JSON documents to one address.
pub struct JsonPoster {
    client: Client,
    url: Url,
    bearer: Option<SecretString>,
    timeout: Duration,
}

impl JsonPoster {
    /// Documents go to `url`, with a bearer token if there is one; an answer may take as long as `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy or a CA bundle that cannot be used.
    pub fn new(net: &NetSettings, url: Url, bearer: Option<SecretString>, timeout: Duration) -> Result<Self> {
        Ok(Self { client: build_client(net)?, url, bearer, timeout })
    }

    /// Posts a document once, and gives the status of the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where no answer comes.
    pub async fn post(&self, document: &Value) -> Result<u16> {
        let mut request = self.client.post(self.url.clone()).header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {}", bearer.expose_secret()));
        }
        let request = request.body(document.to_string()).build().map_err(|cause| {
            Error::new(ErrorKind::Internal, "cannot make a request").with_cause(cause.without_url())
        })?;
        // What the answer says besides its status is nobody's business here.
        let answer = RawAnswer::ask(&self.client, request, "a document", 0, self.timeout).await?;
        Ok(answer.status.as_u16())
    }
}
