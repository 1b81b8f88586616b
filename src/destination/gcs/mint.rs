use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::HeaderValue;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::GcsAccess;
use super::tokens::Token;
use super::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net;

/// Where Google exchanges a user's refresh token.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// The metadata server by its name and, where names are not resolved, by its address. Both are
/// reached only from inside the machine, which is why plain HTTP serves.
const METADATA_URLS: [&str; 2] = [
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
    "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
];

/// The metadata server answers from memory; elsewhere nobody answers.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read into memory, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// object_store signs a service account's token for one hour.
const SIGNED_LIFE: Duration = Duration::from_secs(3600);

/// Makes tokens.
pub(super) struct Mint {
    origin: Origin,
    client: Client,
    token_url: String,
    metadata_urls: Vec<String>,
}

enum Origin {
    Fixed(SecretString),
    Machine,
    User(UserFile),
    ServiceAccount(SecretString),
}

/// The part of a credentials file that tells its kind.
#[derive(Deserialize)]
struct KindOfFile {
    r#type: String,
}

/// The application default credentials of a user.
#[derive(Deserialize)]
struct UserFile {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
}

impl Mint {
    /// Makes tokens for whom `access` names; requests go through `client`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a file that cannot be read or is of a kind that is not supported.
    pub fn new(access: &GcsAccess, client: Client) -> Result<Self> {
        let origin = match access {
            GcsAccess::Token(token) => Origin::Fixed(token.clone()),
            GcsAccess::Machine => Origin::Machine,
            GcsAccess::File(path) => read_file(path, &client)?,
        };
        let metadata_urls = METADATA_URLS.map(str::to_owned).into();
        Ok(Self { origin, client, token_url: TOKEN_URL.to_owned(), metadata_urls })
    }

    /// The same, asking other servers than Google's.
    #[cfg(test)]
    pub fn with_servers(self, token_url: &str, metadata_urls: &[&str]) -> Self {
        let metadata_urls = metadata_urls.iter().map(|url| (*url).to_owned()).collect();
        Self { token_url: token_url.to_owned(), metadata_urls, ..self }
    }

    /// Whether a refused token can be replaced.
    pub fn is_renewable(&self) -> bool {
        !matches!(self.origin, Origin::Fixed(_))
    }

    /// A new token.
    pub async fn issue(&self) -> Result<Token> {
        match &self.origin {
            Origin::Fixed(token) => token_of(token.expose_secret().to_owned(), None),
            Origin::Machine => self.issue_by_machine().await,
            Origin::User(file) => self.issue_to_user(file).await,
            Origin::ServiceAccount(key) => sign(key, &self.client).await,
        }
    }

    async fn issue_by_machine(&self) -> Result<Token> {
        let mut last = Error::new(ErrorKind::Internal, "there is no metadata server to ask");
        for url in &self.metadata_urls {
            let request = self.client.get(url).header("metadata-flavor", "Google").timeout(METADATA_TIMEOUT);
            match ask(request, "the metadata server of this machine").await {
                // By this header alone is Google's server told from another network's device.
                Ok((StatusCode::OK, true, body)) => return token_in(&body, "the metadata server of this machine"),
                Ok((status, ..)) => {
                    let status = status.as_u16();
                    let kind =
                        if status >= 500 || status == 429 { ErrorKind::Unavailable } else { ErrorKind::AccessDenied };
                    last = Error::new(kind, format!("the metadata server of this machine gives no token ({status})"));
                }
                Err(error) => last = error,
            }
        }
        Err(last.with_hint("outside Google Cloud name a credentials file; inside, give the machine a service account"))
    }

    async fn issue_to_user(&self, file: &UserFile) -> Result<Token> {
        let server = "Google's token server";
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &file.client_id),
            ("client_secret", file.client_secret.expose_secret()),
            ("refresh_token", file.refresh_token.expose_secret()),
        ];
        let form = reqwest::Url::parse_with_params("http://form/", form).ok();
        let form = form.as_ref().and_then(reqwest::Url::query).unwrap_or_default().to_owned();
        let request = self.client.post(&self.token_url).timeout(TOKEN_TIMEOUT);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let (status, _, body) = ask(request, server).await?;
        if status == StatusCode::OK {
            return token_in(&body, server);
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let reason: String = refusal.error.chars().take(100).collect();
        let what = format!("{server} gives no token ({} {})", status.as_u16(), printable(&reason));
        match status.as_u16() {
            429 | 500.. => Err(Error::new(ErrorKind::Unavailable, what)),
            _ => Err(Error::new(ErrorKind::AccessDenied, what)
                .with_hint("sign in again: gcloud auth application-default login")),
        }
    }
}

fn read_file(path: &Path, client: &Client) -> Result<Origin> {
    // Causes of the JSON reader are left out: they quote what stands in the file.
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Usage, format!("the credentials file {} {reason}", printable(&path.to_string_lossy())))
            .with_hint("use a service account's key, or the file that `gcloud auth application-default login` writes")
    };
    let text = std::fs::read_to_string(path).map_err(|cause| refuse("cannot be read").with_cause(cause))?;
    let text = SecretString::from(text);
    let kind: KindOfFile =
        serde_json::from_str(text.expose_secret()).map_err(|_| refuse("is not one of Google's credentials files"))?;
    match kind.r#type.as_str() {
        "authorized_user" => {
            let file = serde_json::from_str(text.expose_secret());
            file.map(Origin::User).map_err(|_| refuse("lacks a part of a user's credentials"))
        }
        "service_account" => {
            signer(&text, client).map_err(|_| refuse("holds no usable key of a service account"))?;
            Ok(Origin::ServiceAccount(text))
        }
        other => Err(refuse(&format!("is of the kind `{}`, which is not supported", printable(other)))),
    }
}

/// object_store's own signer of tokens; it makes no request for them.
fn signer(key: &SecretString, client: &Client) -> object_store::Result<object_store::gcp::GoogleCloudStorage> {
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("none")
        .with_service_account_key(key.expose_secret())
        .with_http_connector(Transport::new(client.clone(), Duration::ZERO))
        .build()
}

async fn sign(key: &SecretString, client: &Client) -> Result<Token> {
    let refused = |_| Error::new(ErrorKind::AccessDenied, "the service account's key signs no token");
    // A new signer each time: it would give the refused token again.
    let credential = signer(key, client).map_err(refused)?.credentials().get_credential().await.map_err(refused)?;
    Ok(Token { credential, ends_at: Some(Instant::now() + SIGNED_LIFE) })
}

/// The status, whether Google's metadata server signs it, and the body.
async fn ask(request: RequestBuilder, server: &str) -> Result<(StatusCode, bool, BytesMut)> {
    let failed = |cause| net::connection_error(format!("no answer from {server}"), cause);
    let mut response: Response = request.send().await.map_err(failed)?;
    let flavor = response.headers().get("metadata-flavor").map(HeaderValue::as_bytes);
    let (status, is_google) = (response.status(), flavor == Some(b"Google"));
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::new(ErrorKind::Protocol, format!("the answer of {server} is far too long")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, is_google, body))
}

fn token_in(body: &[u8], server: &str) -> Result<Token> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| Error::new(ErrorKind::Protocol, format!("the answer of {server} holds no token")))?;
    token_of(answer.access_token, Some(Instant::now() + Duration::from_secs(answer.expires_in.min(86_400))))
}

fn token_of(bearer: String, ends_at: Option<Instant>) -> Result<Token> {
    // object_store would panic on a token that cannot stand in a header.
    if bearer.is_empty() || HeaderValue::from_str(&bearer).is_err() {
        return Err(Error::new(ErrorKind::AccessDenied, "the token for the destination cannot stand in a header"));
    }
    Ok(Token { credential: Arc::new(GcpCredential { bearer }), ends_at })
}
