//! The token endpoint of an OAuth server (RFC 6749 section 3.2): one request for each grant.

use std::time::Duration;

use futures::future::BoxFuture;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{BasicClient, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardErrorResponse, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::application::{Application, ClientAuthentication};
use crate::credentials::well_formed::{self, Syntax};
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::{self, HttpClient, RawAnswer, RefusalBody, SentBody};

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A longer life is not believed.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a new login begins.
const LOGIN_HINT: &str =
    "log in again with `e3sync login`; in Optimizely the application must be allowed to act for you";

type OAuthClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// What a token endpoint gave.
pub(super) struct Granted {
    /// The access token.
    pub access_token: SecretString,
    /// How long it lives; `None` where the server does not say.
    pub lifetime: Option<Duration>,
    /// The refresh token that is to be used from now on, where the server gave one.
    pub refresh_token: Option<SecretString>,
}

impl Granted {
    /// When the access token ends.
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        let lifetime = SignedDuration::try_from(self.lifetime?).ok()?;
        now.checked_add(lifetime).ok()
    }
}

/// A token endpoint, and the application that asks it.
pub(super) struct TokenEndpoint {
    oauth: OAuthClient,
    http: HttpClient,
    url: Url,
}

impl TokenEndpoint {
    /// The endpoint of an application, whose secret is read now.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a secret that cannot be had.
    pub async fn new(application: &Application) -> Result<Self> {
        let url = application.token_url.clone();
        let mut oauth = BasicClient::new(ClientId::new(application.client_id.clone()))
            .set_token_uri(TokenUrl::from_url(url.clone()))
            .set_auth_type(match application.authentication {
                ClientAuthentication::Body => AuthType::RequestBody,
                ClientAuthentication::Basic => AuthType::BasicAuth,
            });
        if let Some(source) = &application.client_secret {
            let secret = source.read().await.map_err(|error| error.within("the OAuth client secret"))?;
            oauth = oauth.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        // It follows no redirect: the secret goes to one server.
        Ok(Self { oauth, http: net::build_client(&application.net)?, url })
    }

    /// Exchanges the code that a login brought.
    pub async fn authorization_code(&self, code: &str, redirect_url: &Url) -> Result<Granted> {
        let redirect_url = RedirectUrl::from_url(redirect_url.clone());
        let request = self.oauth.exchange_code(AuthorizationCode::new(code.to_owned()));
        self.granted(request.set_redirect_uri(std::borrow::Cow::Owned(redirect_url)).request_async(self).await)
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Granted> {
        let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        self.granted(self.oauth.exchange_refresh_token(&refresh_token).request_async(self).await)
    }

    /// Asks for a token of the application's own.
    pub async fn client_credentials(&self, scope: Option<&str>) -> Result<Granted> {
        let request = self.oauth.exchange_client_credentials();
        let request = request.add_scopes(scope.map(|scope| Scope::new(scope.to_owned())));
        self.granted(request.request_async(self).await)
    }

    async fn send(&self, request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse> {
        let request = request.map(SentBody::bytes);
        let asked = RawAnswer::ask(&self.http, request, &self.name(), ANSWER_BYTES_MAX, ANSWER_TIMEOUT).await;
        let answer = asked.map_err(|error| {
            error.as_outage(
                ErrorKind::ExchangeUnavailable,
                "check the network and --oauth-token-url; the vendor's status page tells of outages",
            )
        })?;
        if answer.status != StatusCode::OK {
            return Err(refusal(&answer, &self.name()));
        }
        let mut response = http::Response::new(answer.body.to_vec());
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    fn name(&self) -> String {
        format!("POST {}", self.url)
    }

    fn granted(
        &self,
        answered: std::result::Result<
            BasicTokenResponse,
            RequestTokenError<Error, StandardErrorResponse<oauth2::basic::BasicErrorResponseType>>,
        >,
    ) -> Result<Granted> {
        let answer = answered.map_err(|error| match error {
            RequestTokenError::Request(error) => error,
            // Its text quotes the answer, which may hold tokens.
            _ => self.malformed("it is not the documented JSON with an `access_token`"),
        })?;
        if !matches!(answer.token_type(), BasicTokenType::Bearer) {
            return Err(self.malformed("its `token_type` is not `bearer`"));
        }
        let granted = Granted {
            access_token: answer.access_token().secret().as_str().into(),
            lifetime: answer.expires_in().map(|lifetime| lifetime.min(LIFETIME_MAX)),
            refresh_token: answer.refresh_token().map(|token| token.secret().as_str().into()),
        };
        check("the access token", &granted.access_token)?;
        if let Some(token) = &granted.refresh_token {
            check("the refresh token", token)?;
        }
        Ok(granted)
    }

    fn malformed(&self, reason: &str) -> Error {
        let what = format!("the answer to {} cannot be used: {reason}", self.name());
        Error::new(ErrorKind::ExchangeMalformed, what).with_hint(
            "check --oauth-token-url, and whether something in between answers instead: a proxy, a login page",
        )
    }
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint {
    type Error = Error;
    type Future = BoxFuture<'c, Result<oauth2::HttpResponse>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// What an answer means that is no success. A 400 is the server's word that the grant is over (domain.md section 1).
fn refusal(answer: &RawAnswer, request: &str) -> Error {
    let body = RefusalBody::read(&answer.body);
    let status = answer.status.as_u16();
    let code = if body.code.is_empty() { String::new() } else { format!(" {}", printable(&body.code)) };
    let context = format!("({status}{code} from {request}){}", body.said());
    match status {
        300..400 => Error::new(ErrorKind::Protocol, format!("the OAuth token endpoint redirects elsewhere {context}"))
            .with_hint(
                "secrets go to one server only; if the endpoint has moved, name its new address with --oauth-token-url",
            ),
        400 | 401 if matches!(body.code.as_str(), "invalid_client" | "unauthorized_client") => {
            Error::new(ErrorKind::TokenRefused, format!("the OAuth application was refused {context}"))
                .with_hint("check --oauth-client-id and the secret, and that the application may use this grant")
        }
        400 | 401 => Error::new(ErrorKind::TokenRefused, format!("the OAuth login was revoked or has ended {context}"))
            .with_hint(LOGIN_HINT),
        403 if body.is_structured => {
            Error::new(ErrorKind::TokenRefused, format!("the OAuth token endpoint refuses {context}"))
                .with_hint(LOGIN_HINT)
        }
        403 | 408 | 429 | 500.. => {
            Error::new(ErrorKind::ExchangeUnavailable, format!("the OAuth token endpoint is not available {context}"))
                .with_hint("the vendor's status page tells of outages; run again later")
                .with_retry_after(net::retry_after(&answer.headers))
        }
        _ => Error::new(ErrorKind::Protocol, format!("the OAuth token endpoint refused the request {context}"))
            .with_hint("check --oauth-token-url"),
    }
}

/// Refuses what cannot stand in a header.
fn check(what: &str, token: &SecretString) -> Result<()> {
    well_formed::check(what, "the OAuth token endpoint", token.expose_secret(), Syntax::Header)
        .map_err(well_formed::of_server)
}
