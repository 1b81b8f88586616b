//! An access token with the time at which it is replaced.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

/// Maximum time before its end at which an access token is replaced; a fifth of its lifetime if that is shorter.
const MARGIN_MAX: Duration = Duration::from_secs(300);

/// An access token.
pub(super) struct Access {
    pub token: SecretString,
    /// When it is replaced; `None` where only a refusal tells that it has ended.
    pub renew_at: Option<Timestamp>,
}

impl Access {
    /// A token that ends then, after a life of this length where that is known.
    pub fn new(token: &SecretString, expires_at: Option<Timestamp>, lifetime: Option<Duration>) -> Self {
        let margin = lifetime.map_or(MARGIN_MAX, |lifetime| MARGIN_MAX.min(lifetime / 5));
        let margin = SignedDuration::try_from(margin).unwrap_or(SignedDuration::ZERO);
        let renew_at = expires_at.map(|expires_at| expires_at.checked_sub(margin).unwrap_or(Timestamp::MIN));
        Self { token: token.clone(), renew_at }
    }

    /// Whether it need not be replaced yet.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }
}
