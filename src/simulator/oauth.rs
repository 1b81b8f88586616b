//! The OAuth server of the fake export: an authorization page that allows everything at once, and a token endpoint
//! (domain.md section 1).

use super::call::Call;
use super::clock::{Clock, later};
use super::reply::Reply;
use super::seed::derive_url_safe;
use super::settings::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const JSON: &str = "application/json; charset=utf-8";

/// The one application that the server knows.
pub(crate) const CLIENT_ID: &str = "21468570738001";

/// Issues codes, refresh tokens and access tokens.
pub(crate) struct OAuthServer {
    seed: u64,
    clock: Clock,
    lifetime: Duration,
    rotates: bool,
    denies: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    serial: u64,
    /// Codes that were not exchanged yet, with the address that each was sent to.
    codes: BTreeMap<String, String>,
    /// Refresh tokens, and whether each may still be used.
    refresh_tokens: BTreeMap<String, bool>,
    access_tokens: BTreeMap<String, Timestamp>,
}

impl OAuthServer {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Self {
        Self {
            seed: settings.seed,
            clock,
            lifetime: settings.oauth_lifetime,
            rotates: settings.oauth_rotates,
            denies: settings.oauth_denies,
            state: Mutex::default(),
        }
    }

    /// The application's secret.
    pub(crate) fn client_secret(&self) -> String {
        derive_url_safe(self.seed, &["oauth client secret"], 40)
    }

    /// A refresh token, as a login gives it.
    pub(crate) fn issue_refresh_token(&self) -> String {
        let mut state = self.state();
        let token = self.next(&mut state, "refresh");
        state.refresh_tokens.insert(token.clone(), true);
        token
    }

    /// Ends every grant; access tokens issued before keep their life.
    pub(crate) fn revoke(&self) {
        self.state().refresh_tokens.values_mut().for_each(|is_usable| *is_usable = false);
    }

    /// Ends the life of every access token, whatever was told.
    pub(crate) fn expire_access_tokens(&self) {
        self.state().access_tokens.clear();
    }

    /// Whether it is an access token that lives.
    pub(crate) fn knows(&self, token: &str) -> bool {
        self.state().access_tokens.get(token).is_some_and(|ends_at| *ends_at > self.clock.now())
    }

    /// The answer to a call below `/oauth2/`, whose form stands among its parameters.
    pub(crate) fn answer(&self, call: &Call) -> Reply {
        match (call.path.as_str(), &call.method) {
            ("/oauth2/authorize", &Method::GET) => self.authorize(call),
            ("/oauth2/token", &Method::POST) => match self.token(call) {
                Ok(document) => Reply::text(StatusCode::OK, JSON, document.to_string()),
                Err((status, code, description)) => refuse(status, code, description),
            },
            _ => refuse(StatusCode::NOT_FOUND, "not_found", "no such resource"),
        }
    }

    /// Sends the browser back at once.
    fn authorize(&self, call: &Call) -> Reply {
        let parameter = |name: &str| call.parameter(name).unwrap_or_default();
        let redirect = parameter("redirect_uri");
        let is_sound = parameter("client_id") == CLIENT_ID && parameter("response_type") == "code";
        let Ok(mut url) = url::Url::parse(redirect) else {
            return refuse(StatusCode::BAD_REQUEST, "invalid_request", "redirect_uri is no address");
        };
        if !is_sound {
            return refuse(StatusCode::BAD_REQUEST, "invalid_request", "client_id or response_type is unknown");
        }
        if self.denies {
            url.query_pairs_mut().append_pair("error", "access_denied");
        } else {
            let mut state = self.state();
            let code = self.next(&mut state, "code");
            state.codes.insert(code.clone(), redirect.to_owned());
            url.query_pairs_mut().append_pair("code", &code);
        }
        url.query_pairs_mut().append_pair("state", parameter("state"));
        Reply::text(StatusCode::FOUND, "text/plain", String::new()).header("location", url.as_str())
    }

    fn token(&self, call: &Call) -> Result<Value, (StatusCode, &'static str, &'static str)> {
        let refused = |code, description| Err((StatusCode::BAD_REQUEST, code, description));
        if !self.is_the_application(call) {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client", "client authentication failed"));
        }
        let parameter = |name: &str| call.parameter(name).unwrap_or_default();
        let mut state = self.state();
        match parameter("grant_type") {
            "client_credentials" => Ok(self.grant(&mut state, None)),
            "authorization_code" => match state.codes.remove(parameter("code")) {
                Some(redirect) if redirect == parameter("redirect_uri") => {
                    let refresh_token = self.next(&mut state, "refresh");
                    state.refresh_tokens.insert(refresh_token.clone(), true);
                    Ok(self.grant(&mut state, Some(refresh_token)))
                }
                _ => refused("invalid_grant", "the code is unknown, was used, or is for another redirect_uri"),
            },
            "refresh_token" => {
                let token = parameter("refresh_token").to_owned();
                match state.refresh_tokens.get_mut(&token) {
                    Some(is_usable) if *is_usable && self.rotates => {
                        *is_usable = false;
                        let next = self.next(&mut state, "refresh");
                        state.refresh_tokens.insert(next.clone(), true);
                        Ok(self.grant(&mut state, Some(next)))
                    }
                    Some(is_usable) if *is_usable => Ok(self.grant(&mut state, None)),
                    Some(_) => {
                        // A token that comes a second time was stolen by somebody: all end.
                        state.refresh_tokens.values_mut().for_each(|is_usable| *is_usable = false);
                        refused("invalid_grant", "the refresh token was revoked or used before")
                    }
                    None => refused("invalid_grant", "the refresh token is unknown"),
                }
            }
            _ => refused("unsupported_grant_type", "the grant is not one of those known"),
        }
    }

    fn grant(&self, state: &mut State, refresh_token: Option<String>) -> Value {
        let token = self.next(state, "access");
        let lifetime = SignedDuration::try_from(self.lifetime).unwrap_or(SignedDuration::MAX);
        state.access_tokens.insert(token.clone(), later(self.clock.now(), lifetime));
        let mut document = json!({
            "access_token": token, "expires_in": self.lifetime.as_secs(), "token_type": "bearer",
        });
        if let Some(refresh_token) = refresh_token {
            document["refresh_token"] = refresh_token.into();
        }
        document
    }

    /// By fields of the form or by Basic authentication.
    fn is_the_application(&self, call: &Call) -> bool {
        let basic = call.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        match basic {
            Some(basic) => basic == STANDARD.encode(format!("{CLIENT_ID}:{}", self.client_secret())),
            None => {
                call.parameter("client_id") == Some(CLIENT_ID)
                    && call.parameter("client_secret") == Some(&self.client_secret())
            }
        }
    }

    fn next(&self, state: &mut State, purpose: &str) -> String {
        state.serial += 1;
        derive_url_safe(self.seed, &["oauth", purpose, &state.serial.to_string()], 43)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The documented form of a refusal (RFC 6749 section 5.2).
pub(crate) fn refuse(status: StatusCode, code: &str, description: &str) -> Reply {
    Reply::text(status, JSON, json!({ "error": code, "error_description": description }).to_string())
}
