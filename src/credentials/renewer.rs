//! Holds credentials and renews them: ahead of their end, and when they are refused, once for all who wait.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::ExportLocation;
use crate::progress::{Counters, Event, Observer};
use crate::retry::Backoff;

/// What an issuer gives.
#[derive(Debug)]
pub struct Grant<C> {
    /// The credentials.
    pub credentials: C,
    /// What they are for.
    pub location: ExportLocation,
    /// How long they live from now on; `None` for ever.
    pub lifetime: Option<Duration>,
}

/// Issues credentials, anew at every call.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// What is issued.
    type Credentials: Send + Sync + 'static;

    /// Obtains fresh credentials by one request.
    async fn issue(&self) -> Result<Grant<Self::Credentials>>;
}

/// Credentials in use.
pub struct Issued<C> {
    /// Counts up from 1; a refusal names the credentials it met by this number.
    pub serial: u64,
    /// The credentials.
    pub credentials: C,
    /// What they are for.
    pub location: ExportLocation,
    /// When they were asked for, by the monotonic clock.
    issued_at: Instant,
    lifetime: Option<Duration>,
    /// Whether they replaced credentials that were refused before they were due.
    follows_early_refusal: bool,
}

impl<C> Issued<C> {
    /// How much of their life is left; `None` for ever.
    pub fn remaining(&self) -> Option<Duration> {
        self.lifetime.map(|lifetime| lifetime.saturating_sub(self.issued_at.elapsed()))
    }

    fn is_alive(&self) -> bool {
        self.remaining().is_none_or(|remaining| !remaining.is_zero())
    }
}

impl<C> fmt::Debug for Issued<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Issued(serial {})", self.serial)
    }
}

/// When credentials are renewed and how long a failing exchange is borne.
#[derive(Clone, Debug)]
pub struct RenewalSettings {
    /// Renewal begins this long before the end, or a fifth of the life before it if that is later.
    pub margin_max: Duration,
    /// How long an exchange may stay away during a run (domain.md section 1).
    pub outage_max: Duration,
    /// How long it may stay away before the first credentials.
    pub first_outage_max: Duration,
    /// How long it may put off the first credentials with answers that ask to come back later.
    pub first_throttling_max: Duration,
}

impl Default for RenewalSettings {
    fn default() -> Self {
        Self {
            margin_max: Duration::from_secs(300),
            outage_max: Duration::from_secs(3 * 3600),
            first_outage_max: Duration::from_secs(60),
            first_throttling_max: Duration::from_secs(5 * 60),
        }
    }
}

/// Holds the current credentials and renews them: ahead of time, and when a server refuses them.
///
/// However many requests wait, one exchange serves them all. A refusal names the credentials that
/// were refused, so that a late refusal of old ones does not throw fresh ones away.
pub struct Renewer<C> {
    issuer: Box<dyn Issuer<Credentials = C>>,
    settings: RenewalSettings,
    observer: Arc<dyn Observer>,
    counters: Arc<Counters>,
    current: RwLock<Option<Arc<Issued<C>>>>,
    /// The serial number of the youngest credentials that a server accepted.
    accepted_serial: AtomicU64,
    /// Held by the one request for new credentials.
    gate: Mutex<Gate>,
}

/// What the one request for new credentials must know of those before it.
#[derive(Default)]
struct Gate {
    /// What ended all renewal.
    ended_by: Option<Error>,
    asked_at: Option<Instant>,
}

impl<C: Send + Sync + 'static> Renewer<C> {
    /// How often the issuer is asked that answers each time, and not as it should: with a refusal of the
    /// token (domain.md section 1), or with an answer that cannot be used.
    const ANSWERS_MAX: u32 = 3;

    /// Maximum number of refusals of its credentials that one request survives. A server that refuses every time,
    /// while another request with the same credentials goes through, would refuse for ever.
    const RENEWALS_OF_REQUEST_MAX: u32 = 2;

    /// Between two requests to the issuer lies at least this much, whatever life it grants.
    const ISSUING_PAUSE: Duration = Duration::from_secs(1);

    /// A renewer without credentials yet.
    pub fn new(
        issuer: Box<dyn Issuer<Credentials = C>>,
        settings: RenewalSettings,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            issuer,
            settings,
            observer,
            counters,
            current: RwLock::new(None),
            accepted_serial: AtomicU64::new(0),
            gate: Mutex::new(Gate::default()),
        }
    }

    /// Credentials that are alive; waits for new ones only where the present ones have ended.
    ///
    /// # Errors
    /// What the exchange answers for good, or [`ErrorKind::ExchangeUnavailable`] when it stays away
    /// longer than the settings tolerate.
    pub async fn current(&self) -> Result<Arc<Issued<C>>> {
        match self.peek() {
            Some(issued) if issued.is_alive() => Ok(issued),
            ended => self.renew_unless_done(ended.map(|issued| issued.serial), false).await,
        }
    }

    /// Makes a request with current credentials, and once more with new ones each time the server
    /// refuses them, in the middle of whatever it is. Renewal costs no retry.
    ///
    /// # Errors
    /// What the request answers otherwise, which is [`ErrorKind::CredentialsRefused`] where renewal
    /// does not help, and as [`Renewer::current`].
    pub async fn request<T, F, R>(&self, request: F) -> Result<T>
    where
        F: Fn(Arc<Issued<C>>) -> R + Send + Sync,
        R: Future<Output = Result<T>> + Send,
    {
        let mut issued = self.current().await?;
        let mut renewals = 0;
        loop {
            match request(issued.clone()).await {
                Err(error) if error.retry() == Retry::Renew && renewals < Self::RENEWALS_OF_REQUEST_MAX => {
                    renewals += 1;
                    issued = self.replace_refused(&issued).await?;
                }
                Err(error) => return Err(error),
                Ok(value) => {
                    self.accepted(&issued);
                    return Ok(value);
                }
            }
        }
    }

    /// Replaces credentials that a server refused, unless another request has done so already.
    ///
    /// # Errors
    /// As [`Renewer::current`]; [`ErrorKind::CredentialsRefused`] when fresh credentials that
    /// never worked are refused again: then renewal cannot help.
    pub async fn replace_refused(&self, refused: &Issued<C>) -> Result<Arc<Issued<C>>> {
        let never_worked = self.accepted_serial.load(Ordering::Relaxed) < refused.serial;
        let is_early = refused.is_alive();
        if is_early && never_worked && refused.follows_early_refusal {
            return Err(Error::new(ErrorKind::CredentialsRefused, "the source refuses credentials that were just issued")
                .with_hint("check --source-bucket, --source-region and --source-endpoint-url; if they are right, ask the vendor's support"));
        }
        self.renew_unless_done(Some(refused.serial), is_early).await
    }

    /// How long the present credentials still live; `None` where they do not end or there are none.
    pub fn remaining(&self) -> Option<Duration> {
        self.peek().and_then(|issued| issued.remaining())
    }

    /// Notes that a server accepted the credentials.
    pub fn accepted(&self, issued: &Issued<C>) {
        self.accepted_serial.fetch_max(issued.serial, Ordering::Relaxed);
    }

    /// Renews ahead of time for as long as it is polled; returns the error that ended all renewal.
    pub async fn keep_fresh(&self) -> Error {
        loop {
            let issued = self.peek();
            let Some(due) = issued.as_ref().and_then(|issued| self.due(issued)) else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(due).await;
            let serial = issued.map(|issued| issued.serial);
            if let Err(error) = self.renew_unless_done(serial, false).await {
                return error;
            }
        }
    }

    fn due(&self, issued: &Issued<C>) -> Option<Instant> {
        let lifetime = issued.lifetime?;
        Some(issued.issued_at + lifetime - self.settings.margin_max.min(lifetime / 5))
    }

    fn peek(&self) -> Option<Arc<Issued<C>>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renews unless the credentials in use are others than `serial` by the time the gate is free.
    async fn renew_unless_done(&self, serial: Option<u64>, follows_early_refusal: bool) -> Result<Arc<Issued<C>>> {
        let mut gate = self.gate.lock().await;
        if let Some(issued) = self.peek().filter(|issued| Some(issued.serial) != serial && issued.is_alive()) {
            return Ok(issued);
        }
        if let Some(error) = &gate.ended_by {
            return Err(error.clone());
        }
        let issued = self.issue_patiently(&mut gate.asked_at, follows_early_refusal).await;
        gate.ended_by = issued.as_ref().err().cloned();
        issued
    }

    async fn issue_patiently(
        &self,
        last_asked_at: &mut Option<Instant>,
        follows_early_refusal: bool,
    ) -> Result<Arc<Issued<C>>> {
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut answers = 0;
        loop {
            if let Some(before) = *last_asked_at {
                tokio::time::sleep_until(before + Self::ISSUING_PAUSE).await;
            }
            let asked_at = Instant::now();
            *last_asked_at = Some(asked_at);
            let error = match self.issuer.issue().await.and_then(alive) {
                Ok(grant) => return self.install(grant, asked_at, follows_early_refusal),
                Err(error) => error,
            };
            answers += u32::from(is_answer(&error));
            if !self.tolerates(&error, answers, began.elapsed()) {
                return Err(error);
            }
            // The last attempt falls on the end of the budget, not behind it.
            let left = self.outage_max(&error).saturating_sub(began.elapsed());
            let pause = backoff.next_pause(&error).min(left);
            self.counters.retries.add(1);
            self.observer.observe(&Event::CredentialsWaiting { error: &error, pause });
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether the issuer is asked again after `error`; `answers` are the failures so far that were
    /// answers ([`is_answer`]). Where it has given credentials before, all was set up well, and whatever
    /// else fails now may pass: a token file that is being replaced, a command that fails, a login page
    /// in between.
    fn tolerates(&self, error: &Error, answers: u32, elapsed: Duration) -> bool {
        let is_first = self.peek().is_none();
        match error.kind() {
            ErrorKind::TokenRefused => !is_first && answers < Self::ANSWERS_MAX,
            ErrorKind::ExchangeMalformed => answers < Self::ANSWERS_MAX,
            ErrorKind::ExchangeUnavailable => elapsed < self.outage_max(error),
            _ => !is_first && elapsed < self.outage_max(error),
        }
    }

    /// How long the issuer may stay away, now. One that says when to come back is there.
    fn outage_max(&self, error: &Error) -> Duration {
        match (self.peek(), error.retry_after()) {
            (Some(_), _) => self.settings.outage_max,
            (None, Some(_)) => self.settings.first_throttling_max,
            (None, None) => self.settings.first_outage_max,
        }
    }

    fn install(&self, grant: Grant<C>, asked_at: Instant, follows_early_refusal: bool) -> Result<Arc<Issued<C>>> {
        let previous = self.peek();
        if let Some(previous) = &previous
            && previous.location != grant.location
        {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the renewed credentials are for {}, not for {}", grant.location, previous.location),
            )
            .with_hint("the token command or file gave another account's token during the run"));
        }
        let issued = Arc::new(Issued {
            serial: previous.as_ref().map_or(1, |previous| previous.serial + 1),
            credentials: grant.credentials,
            location: grant.location,
            issued_at: asked_at,
            lifetime: grant.lifetime,
            follows_early_refusal,
        });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(issued.clone());
        if previous.is_some() {
            self.counters.renewals.add(1);
            self.observer.observe(&Event::CredentialsRenewed { remaining: issued.remaining() });
        }
        Ok(issued)
    }
}

/// Whether a failure is the Authentication API's own answer, which time alone does not change.
fn is_answer(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TokenRefused | ErrorKind::ExchangeMalformed)
}

/// Credentials that have not ended before they are used.
fn alive<C>(grant: Grant<C>) -> Result<Grant<C>> {
    match grant.lifetime {
        Some(Duration::ZERO) => {
            Err(Error::new(ErrorKind::ExchangeUnavailable, "the credentials that were issued have ended already")
                .with_hint("the clock of this machine may be wrong; set it right, or renew the profile's credentials"))
        }
        _ => Ok(grant),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::export::AccountId;
    use crate::progress::Silent;

    /// Issues numbers with a life of `lifetime`, or the scripted error instead.
    struct Script {
        calls: Arc<AtomicU32>,
        lifetime: Duration,
        error: Box<dyn Fn(u32) -> Option<Error> + Send + Sync>,
    }

    #[async_trait]
    impl Issuer for Script {
        type Credentials = u32;

        async fn issue(&self) -> Result<Grant<u32>> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            match (self.error)(call) {
                Some(error) => Err(error),
                None => Ok(Grant {
                    credentials: call,
                    location: ExportLocation::of_account("s3", "bucket", AccountId::parse("1").unwrap()),
                    lifetime: Some(self.lifetime),
                }),
            }
        }
    }

    fn renewer(error: impl Fn(u32) -> Option<Error> + Send + Sync + 'static) -> (Arc<Renewer<u32>>, Arc<AtomicU32>) {
        renewer_of(Duration::from_secs(100), error)
    }

    fn renewer_of(
        lifetime: Duration,
        error: impl Fn(u32) -> Option<Error> + Send + Sync + 'static,
    ) -> (Arc<Renewer<u32>>, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let script = Script { calls: calls.clone(), lifetime, error: Box::new(error) };
        let renewer =
            Renewer::new(Box::new(script), RenewalSettings::default(), Arc::new(Silent), Arc::new(Counters::default()));
        (Arc::new(renewer), calls)
    }

    fn outage() -> Error {
        Error::new(ErrorKind::ExchangeUnavailable, "outage")
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_waiters_cost_one_exchange() {
        let (renewer, calls) = renewer(|_| None);
        let waiters: Vec<_> = (0..100).map(|_| renewer.current()).collect();
        for issued in futures::future::join_all(waiters).await {
            assert_eq!(issued.unwrap().credentials, 1);
        }
        let refused = renewer.current().await.unwrap();
        let waiters: Vec<_> = (0..100).map(|_| renewer.replace_refused(&refused)).collect();
        for issued in futures::future::join_all(waiters).await {
            assert_eq!(issued.unwrap().credentials, 2);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_refusal_of_old_credentials_keeps_the_fresh_ones() {
        let (renewer, calls) = renewer(|_| None);
        let first = renewer.current().await.unwrap();
        let second = renewer.replace_refused(&first).await.unwrap();
        let again = renewer.replace_refused(&first).await.unwrap();
        assert_eq!((second.serial, again.serial), (2, 2));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_credentials_that_never_worked_are_not_renewed_for_ever() {
        let (renewer, calls) = renewer(|_| None);
        let first = renewer.current().await.unwrap();
        renewer.accepted(&first);
        let second = renewer.replace_refused(&first).await.unwrap();
        let error = renewer.replace_refused(&second).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRefused);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_renewed_before_they_end() {
        let (renewer, _) = renewer(|_| None);
        renewer.current().await.unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(250), renewer.keep_fresh()).await;
        let issued = renewer.current().await.unwrap();
        assert_eq!(issued.serial, 4, "one every eighty seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_while_the_old_credentials_serve() {
        let (renewer, _) = renewer(|call| (2..50).contains(&call).then(outage));
        renewer.current().await.unwrap();
        let keeper = renewer.clone();
        let task = tokio::spawn(async move { keeper.keep_fresh().await });
        tokio::time::sleep(Duration::from_secs(95)).await;
        assert_eq!(renewer.current().await.unwrap().serial, 1, "still alive, no waiting");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(renewer.current().await.unwrap().serial, 2, "waited for the exchange to return");
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_beyond_the_budget_ends_the_waiting() {
        let (renewer, _) = renewer(|call| (call > 1).then(outage));
        let first = renewer.current().await.unwrap();
        let began = Instant::now();
        let error = renewer.replace_refused(&first).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ExchangeUnavailable);
        assert!(began.elapsed() >= Duration::from_secs(3 * 3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_costs_a_few_calls_and_no_storm() {
        let (renewer, calls) = renewer(|call| (call > 1).then(|| Error::new(ErrorKind::TokenRefused, "revoked")));
        let first = renewer.current().await.unwrap();
        for _ in 0..20 {
            assert_eq!(renewer.replace_refused(&first).await.unwrap_err().kind(), ErrorKind::TokenRefused);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_another_form_is_final_after_a_few_calls() {
        for first in [1, 2] {
            let malformed = move |call| (call >= first).then(|| Error::new(ErrorKind::ExchangeMalformed, "a field"));
            let (renewer, calls) = renewer(malformed);
            let began = Instant::now();
            let issued = match renewer.current().await {
                Ok(issued) => renewer.replace_refused(&issued).await,
                Err(error) => Err(error),
            };
            assert_eq!(issued.unwrap_err().kind(), ErrorKind::ExchangeMalformed);
            assert_eq!(calls.load(Ordering::SeqCst), first + 2);
            assert!(began.elapsed() < Duration::from_secs(60));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_refused_at_the_start_is_final() {
        let (renewer, calls) = renewer(|_| Some(Error::new(ErrorKind::TokenRefused, "revoked")));
        assert_eq!(renewer.current().await.unwrap_err().kind(), ErrorKind::TokenRefused);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_credentials_are_waited_for_longer_where_the_issuer_says_when_to_come_back() {
        for (pause, least, most) in [(None, 60, 61), (Some(Duration::from_secs(7)), 300, 301)] {
            let (renewer, _) = renewer(move |_| Some(outage().with_retry_after(pause)));
            let began = Instant::now();
            assert_eq!(renewer.current().await.unwrap_err().kind(), ErrorKind::ExchangeUnavailable);
            let waited = began.elapsed().as_secs();
            assert!((least..=most).contains(&waited), "{pause:?}: {waited} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_shortest_life_costs_an_exchange_a_second_at_most() {
        let (renewer, calls) = renewer_of(Duration::from_nanos(1), |_| None);
        renewer.current().await.unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(60), renewer.keep_fresh()).await;
        let calls = calls.load(Ordering::SeqCst);
        assert!((50..=61).contains(&calls), "{calls}");
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_have_ended_when_they_come_are_an_outage() {
        let (renewer, calls) = renewer_of(Duration::ZERO, |_| None);
        let began = Instant::now();
        let error = renewer.current().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ExchangeUnavailable);
        assert!(error.hint().unwrap().contains("clock"));
        assert!(began.elapsed() >= Duration::from_secs(60));
        assert!(calls.load(Ordering::SeqCst) <= 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_always_refused_gives_up_though_another_goes_through() {
        let (renewer, calls) = renewer(|_| None);
        let get = |issued: Arc<Issued<u32>>| {
            // The same credentials serve a listing.
            renewer.accepted(&issued);
            async { Err::<(), _>(Error::new(ErrorKind::CredentialsRefused, "refused")) }
        };
        assert_eq!(renewer.request(get).await.unwrap_err().kind(), ErrorKind::CredentialsRefused);
        assert_eq!(calls.load(Ordering::SeqCst), 3, "the first, and two renewals");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_fails_during_the_run_is_borne_as_an_outage() {
        for kind in [ErrorKind::Usage, ErrorKind::Protocol, ErrorKind::AccessDenied] {
            let (renewer, _) = renewer(move |call| (2..20).contains(&call).then(|| Error::new(kind, "passes")));
            let first = renewer.current().await.unwrap();
            assert_eq!(renewer.replace_refused(&first).await.unwrap().serial, 2, "{kind:?}");

            let (renewer, calls) = self::renewer(move |_| Some(Error::new(kind, "stays")));
            assert_eq!(renewer.current().await.unwrap_err().kind(), kind, "final before the first credentials");
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        }
    }
}
