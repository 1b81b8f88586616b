use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::RuntimeComponents;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::BytesMut;
use reqwest::{Client, Response};

/// The longest answer that is read into memory, in bytes: a page of 1,000 keys of 1,024 bytes each,
/// escaped at its worst, fits.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One answer may take this long; the SDK's own requests are small.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What an answer must be besides what the SDK checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerCheck {
    /// Anything.
    Any,
    /// A successful answer is one XML document from its first to its last tag. The SDK takes a
    /// listing that breaks off for a complete one.
    WholeXml,
}

/// Carries the AWS SDK's requests over the pooled client that everything else here uses, with a
/// bound on the size of answers.
#[derive(Clone)]
pub struct SdkTransport {
    client: Client,
    check: AnswerCheck,
}

impl SdkTransport {
    /// A transport over `client`.
    pub fn new(client: Client, check: AnswerCheck) -> Self {
        Self { client, check }
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|cause| ConnectorError::user(cause.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
            .map_err(|cause| ConnectorError::user(cause.into()))?;
        let reading = async {
            let response = self.client.execute(request).await.map_err(connector_error)?;
            self.read(response).await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, reading)
            .await
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
    }

    async fn read(&self, mut response: Response) -> Result<HttpResponse, ConnectorError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(connector_error)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(untrusted("the answer is far too long"));
            }
        }
        if status.is_success() && self.check == AnswerCheck::WholeXml && !is_whole_xml(&body) {
            return Err(untrusted("the answer is not one whole XML document"));
        }
        let mut answer = http::Response::new(SdkBody::from(body.freeze()));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        HttpResponse::try_from(answer).map_err(|cause| ConnectorError::user(cause.into()))
    }
}

impl fmt::Debug for SdkTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SdkTransport(..)")
    }
}

impl HttpConnector for SdkTransport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}

impl HttpClient for SdkTransport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// An answer that arrived but does not prove to be what was asked for.
#[derive(Debug)]
pub(crate) struct UntrustedAnswer(&'static str);

impl fmt::Display for UntrustedAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for UntrustedAnswer {}

fn untrusted(reason: &'static str) -> ConnectorError {
    ConnectorError::other(Box::new(UntrustedAnswer(reason)), None)
}

fn connector_error(cause: reqwest::Error) -> ConnectorError {
    ConnectorError::io(Box::new(cause.without_url()))
}

/// Whether the text's last tag closes its first element.
fn is_whole_xml(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut text = text.trim_start_matches('\u{feff}').trim();
    while let Some(rest) = text.strip_prefix("<?") {
        let Some((_, rest)) = rest.split_once("?>") else { return false };
        text = rest.trim_start();
    }
    let Some(rest) = text.strip_prefix('<') else { return false };
    let name = rest.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    !name.is_empty() && text.strip_suffix('>').is_some_and(|text| text.trim_end().ends_with(&format!("</{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_breaks_off_is_not_whole() {
        let whole = b"<?xml version=\"1.0\"?>\n<List xmlns=\"a\"><Name>b</Name></List>\n";
        assert!(is_whole_xml(whole));
        for length in 0..whole.len() - 2 {
            assert!(!is_whole_xml(&whole[..length]), "{length}");
        }
        assert!(!is_whole_xml(b"plain text"));
        assert!(!is_whole_xml(b"<a></b>"));
    }

    #[tokio::test]
    async fn a_listing_that_breaks_off_does_not_reach_the_sdk() {
        let client = crate::net::build_client(&crate::net::NetSettings::default()).unwrap();
        let read = async |check, status, body: &'static str| {
            let answer = http::Response::builder().status(status).body(body).unwrap();
            SdkTransport::new(client.clone(), check).read(answer.into()).await
        };
        assert!(read(AnswerCheck::WholeXml, 200, "<List><Name>b</Name></List>").await.is_ok());
        assert!(read(AnswerCheck::WholeXml, 200, "<List><Name>b</Name>").await.is_err());
        assert!(read(AnswerCheck::WholeXml, 503, "").await.is_ok(), "a refusal needs no body");
        assert!(read(AnswerCheck::Any, 200, "{}").await.is_ok());
    }
}
