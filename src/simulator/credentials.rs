//! Who may do what: the token of the exchange, and the credentials issued for it.

use super::clock::{Clock, later};
use super::seed::{base64, derive, derive_url_safe};
use super::settings::{AccessKey, Settings};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Number of credentials that are remembered; a client with older ones hears that they do not exist.
const ISSUED_MAX: usize = 4096;

/// How long a Google access token lives (domain.md section 1).
const BEARER_LIFETIME: Duration = Duration::from_secs(3600);

/// Temporary credentials as the exchange hands them out.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) key: AccessKey,
    pub(crate) session_token: String,
    pub(crate) expiration: Timestamp,
}

/// What a request is checked against.
pub(crate) struct Known {
    pub(crate) secret_access_key: String,
    /// None for a long-lived key.
    pub(crate) session_token: Option<String>,
    /// None for a long-lived key.
    pub(crate) expiration: Option<Timestamp>,
}

/// A Google access token.
#[derive(Clone)]
struct Bearer {
    token: String,
    expiration: Timestamp,
}

/// Issues credentials and remembers them.
pub(crate) struct Issuer {
    seed: u64,
    clock: Clock,
    lifetime: Option<Duration>,
    bearer_age: Duration,
    bearer_cached: bool,
    access_key: Option<AccessKey>,
    state: Mutex<State>,
}

struct State {
    token: Option<String>,
    issued: BTreeMap<u64, Issued>,
    /// Oldest first.
    bearers: VecDeque<Bearer>,
    serial: u64,
}

impl Issuer {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Self {
        // The shape that personal access tokens have (domain.md section 1).
        let token = format!("2:{}{}", part(settings.seed, "token 1", 26), part(settings.seed, "token 2", 26));
        Self {
            seed: settings.seed,
            clock,
            lifetime: settings.credential_lifetime,
            bearer_age: settings.gcp_token_age,
            bearer_cached: settings.gcp_token_cached,
            access_key: settings.access_key.clone(),
            state: Mutex::new(State {
                token: Some(token),
                issued: BTreeMap::new(),
                bearers: VecDeque::new(),
                serial: 0,
            }),
        }
    }

    /// The accepted token; none when it was revoked.
    pub(crate) fn token(&self) -> Option<String> {
        self.state().token.clone()
    }

    /// Accepts another token, or none any more.
    pub(crate) fn set_token(&self, token: Option<String>) {
        self.state().token = token;
    }

    /// The number of credentials issued so far.
    pub(crate) fn serial(&self) -> u64 {
        self.state().serial
    }

    /// New credentials for the duration asked, or for the lifetime of the settings.
    pub(crate) fn issue(&self, asked: Duration) -> Issued {
        let expiration = self.expiration(asked);
        let mut state = self.state();
        state.serial += 1;
        let issued = self.derive(state.serial, expiration);
        let serial = state.serial;
        state.issued.insert(serial, issued.clone());
        if state.issued.len() > ISSUED_MAX {
            state.issued.pop_first();
        }
        issued
    }

    /// A Google access token of the usual hour or the lifetime of the settings, part of which may be over.
    pub(crate) fn issue_bearer(&self) -> String {
        let whole = self.expiration(BEARER_LIFETIME);
        let age = SignedDuration::try_from(self.bearer_age).unwrap_or(SignedDuration::MAX);
        let mut state = self.state();
        if let Some(cached) = state.bearers.back().filter(|bearer| bearer.expiration > self.clock.now())
            && self.bearer_cached
        {
            return cached.token.clone();
        }
        state.serial += 1;
        let token = self.derive_bearer(state.serial);
        state.bearers.push_back(Bearer { token: token.clone(), expiration: later(whole, -age) });
        if state.bearers.len() > ISSUED_MAX {
            state.bearers.pop_front();
        }
        token
    }

    /// When a Google access token ends, if it was issued.
    pub(crate) fn find_bearer(&self, token: &str) -> Option<Timestamp> {
        let state = self.state();
        state.bearers.iter().rev().find(|bearer| bearer.token == token).map(|bearer| bearer.expiration)
    }

    /// What is known of an access key.
    pub(crate) fn find(&self, access_key_id: &str) -> Option<Known> {
        if let Some(key) = self.access_key.as_ref().filter(|key| key.access_key_id == access_key_id) {
            let secret_access_key = key.secret_access_key.clone();
            return Some(Known { secret_access_key, session_token: None, expiration: None });
        }
        let state = self.state();
        let issued = state.issued.values().rev().find(|issued| issued.key.access_key_id == access_key_id)?;
        Some(Known {
            secret_access_key: issued.key.secret_access_key.clone(),
            session_token: Some(issued.session_token.clone()),
            expiration: Some(issued.expiration),
        })
    }

    /// Ends the life of everything issued so far, long before the expiration that was told.
    pub(crate) fn expire_all(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.issued.values_mut().for_each(|issued| issued.expiration = now);
        state.bearers.iter_mut().for_each(|bearer| bearer.expiration = now);
    }

    fn expiration(&self, asked: Duration) -> Timestamp {
        let lifetime = SignedDuration::try_from(self.lifetime.unwrap_or(asked)).unwrap_or(SignedDuration::MAX);
        later(self.clock.now(), lifetime)
    }

    fn derive_bearer(&self, serial: u64) -> String {
        let number = serial.to_string();
        let piece = |index: usize| derive_url_safe(self.seed, &["bearer", &number, &index.to_string()], 43);
        format!("ya29.c.{}", (0..4).map(piece).collect::<String>())
    }

    fn derive(&self, serial: u64, expiration: Timestamp) -> Issued {
        let number = serial.to_string();
        let secret = |purpose: &str| derive(self.seed, &[purpose, &number]);
        let access_key_id = format!("ASIA{}", base32(&secret("access key")[..10]));
        let secret_access_key = base64(&secret("secret key")[..30]);
        let session_token = base64(&[secret("session 1"), secret("session 2"), secret("session 3")].concat());
        Issued { key: AccessKey { access_key_id, secret_access_key }, session_token, expiration }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part(seed: u64, purpose: &str, length: usize) -> String {
    derive_url_safe(seed, &[purpose], length)
}

/// Upper-case letters and digits, one for each 5 bits.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |index: usize| bytes[index / 8] >> (7 - index % 8) & 1;
    (0..bytes.len() * 8 / 5)
        .map(|digit| (0..5).fold(0, |value, index| value << 1 | bit(digit * 5 + index)))
        .map(|value| char::from(DIGITS[usize::from(value)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(lifetime: Option<Duration>) -> Issuer {
        let start = "2026-11-21T13:00:00Z".parse().unwrap();
        let settings = Settings { credential_lifetime: lifetime, ..Settings::new(start) };
        Issuer::new(&settings, Clock::new(start, SignedDuration::ZERO))
    }

    #[test]
    fn tokens_and_keys_have_their_usual_shapes() {
        let issuer = issuer(None);
        assert_eq!(issuer.token().unwrap().len(), 54);
        let issued = issuer.issue(Duration::from_secs(900));
        assert_eq!(issued.key.access_key_id.len(), 20);
        assert_eq!(issued.key.secret_access_key.len(), 40);
        assert!(!format!("{:?}", issued.key).contains(&issued.key.secret_access_key));
    }

    #[test]
    fn google_tokens_age_and_end() {
        let lives = |issuer: &Issuer| {
            let expiration = issuer.find_bearer(&issuer.issue_bearer()).unwrap();
            expiration.duration_since(issuer.clock.now()).as_secs_f64().round()
        };
        assert_eq!(lives(&issuer(None)), 3600.0);
        assert_eq!(lives(&issuer(Some(Duration::from_secs(60)))), 60.0);
        let aged = Issuer { bearer_age: Duration::from_secs(600), ..issuer(None) };
        assert_eq!(lives(&aged), 3000.0);
        aged.expire_all();
        assert_eq!(aged.state().bearers[0].expiration.duration_since(aged.clock.now()).as_secs(), 0);
        assert_eq!(aged.find_bearer("ya29.other"), None);
    }

    #[test]
    fn a_cached_token_is_handed_out_until_it_ends() {
        let issuer = Issuer { bearer_cached: true, ..issuer(None) };
        let first = issuer.issue_bearer();
        assert_eq!(issuer.issue_bearer(), first);
        issuer.expire_all();
        assert_ne!(issuer.issue_bearer(), first);
        assert_eq!(issuer.serial(), 2);
    }

    #[test]
    fn the_lifetime_of_the_settings_wins() {
        let lives = |issuer: &Issuer| {
            let issued = issuer.issue(Duration::from_secs(900));
            issued.expiration.duration_since(issuer.clock.now()).as_secs_f64()
        };
        assert!((lives(&issuer(None)) - 900.0).abs() < 5.0);
        assert!(lives(&issuer(Some(Duration::from_millis(200)))) < 1.0);
    }

    #[test]
    fn old_credentials_are_forgotten_and_all_can_be_ended() {
        let issuer = issuer(None);
        let first = issuer.issue(Duration::from_secs(900));
        let second = issuer.issue(Duration::from_secs(900));
        assert_ne!(first.session_token, second.session_token);
        issuer.expire_all();
        let known = issuer.find(&second.key.access_key_id).unwrap();
        assert!(known.expiration.unwrap() <= issuer.clock.now());
        (0..ISSUED_MAX).for_each(|_| drop(issuer.issue(Duration::from_secs(900))));
        assert!(issuer.find(&first.key.access_key_id).is_none());
    }
}
