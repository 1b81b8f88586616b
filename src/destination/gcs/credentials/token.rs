//! A token as it was issued, as it is held, and what is needed to ask for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::gcp::GcpCredential;
use secrecy::SecretString;

use crate::clock::Clock;
use crate::net::{HttpClient, NetSettings};

/// What tokens are for. Google decides by the account's permissions what they may do.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The longest life that is believed, in seconds.
const LIFETIME_SECONDS_MAX: u64 = 86_400;

/// Maximum time before its end at which a token is replaced; Google's metadata server keeps its own until then.
const MARGIN_MAX: Duration = Duration::from_secs(4 * 60);

/// Of a short life, this part is left when the token is replaced.
const MARGIN_PART: u32 = 5;

/// A token as it was issued.
pub(super) struct Bearer {
    pub text: SecretString,
    /// How long it lives from now on; `None` where nobody says.
    pub lifetime: Option<Duration>,
}

impl Bearer {
    pub fn new(text: String, lifetime_seconds: u64) -> Self {
        let lifetime = Duration::from_secs(lifetime_seconds.min(LIFETIME_SECONDS_MAX));
        Self { text: text.into(), lifetime: Some(lifetime) }
    }
}

/// What is needed to ask for tokens.
pub(super) struct Asker {
    pub client: HttpClient,
    /// How connections to AWS are made, where an identity there is the proof.
    pub net: NetSettings,
    pub clock: Arc<Clock>,
    /// Where a Google user's refresh token is exchanged.
    pub token_url: String,
}

/// A bearer token that Google issued.
pub(in crate::destination::gcs) struct Token {
    /// The token.
    pub credential: Arc<GcpCredential>,
    /// When it was issued.
    pub issued_at: Instant,
    /// How long it lives from then on; `None` where only a refusal tells that it has ended.
    pub lifetime: Option<Duration>,
}

impl Token {
    /// Whether it lives for a while yet.
    pub fn is_fresh(&self) -> bool {
        self.lifetime.is_none_or(|lifetime| {
            let margin = MARGIN_MAX.min(lifetime / MARGIN_PART);
            self.issued_at.elapsed() + margin < lifetime
        })
    }
}
