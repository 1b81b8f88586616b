//! The choices that decisions depend on.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::export::utc_day;

/// When a day counts as complete (`--ready`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// With the source's `_SUCCESS`; where a type never has one, after the grace period.
    Success,
    /// With `_SUCCESS`, or after the grace period.
    Grace,
    /// As it is.
    Any,
}

/// The choices that decisions depend on.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// When a day counts as complete.
    pub ready: Ready,
    /// How long after a day's end it counts as complete without `_SUCCESS`. The vendor completes a
    /// day by 13:00 UTC of the next (domain.md section 2).
    pub grace: SignedDuration,
    /// Published days from this one on are listed again; earlier ones are left alone.
    pub lookback_from: Date,
    /// Whether a rewritten day may be less than half of what it replaces, and whether objects that are
    /// gone at the source go here too.
    pub accept_shrink: bool,
    /// The present time.
    pub now: Timestamp,
}

/// How long after a day's end it counts as complete without `_SUCCESS`, unless the options say otherwise.
pub const GRACE_DEFAULT: SignedDuration = SignedDuration::from_hours(48);

/// Published days that are not older than this are listed again, unless the options say otherwise.
pub const LOOKBACK_DAYS_DEFAULT: u32 = 7;

impl PlanOptions {
    /// The usual choices at the time `now`: days are complete with `_SUCCESS`, the last week's are listed
    /// again, and nothing shrinks.
    pub fn at(now: Timestamp) -> Self {
        Self {
            ready: Ready::Success,
            grace: GRACE_DEFAULT,
            lookback_from: utc_day(now).checked_sub(i64::from(LOOKBACK_DAYS_DEFAULT).days()).unwrap_or(Date::MIN),
            accept_shrink: false,
            now,
        }
    }
}
