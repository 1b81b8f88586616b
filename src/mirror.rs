//! The short way to a mirror: settings with their usual values, a run, a verification.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::watch;
use url::Url;

use crate::clock::Clock;
use crate::credentials::{ExchangeSettings, TokenSource};
use crate::destination::{Address, DestinationSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Scope, TypeName, utc_day};
use crate::net;
use crate::plan::{DaysWanted, PlanOptions, Selection};
use crate::progress::{Event, Observer};
use crate::source::{Access, SourceSettings};
use crate::sync::{self, RunHandles, SyncRequest};
use crate::transfer::{Join, RunOutcome, TransferSettings};
use crate::verify::{self, VerifyOutcome, VerifyRequest};

/// A mirror of one account's export, and what is wanted of it.
///
/// Every setting has a usual value: all documented types, the days from the oldest published one to yesterday,
/// nothing told, nothing shrunk. Those without a method here are fields of [`Mirror::source`],
/// [`Mirror::destination`], [`Mirror::options`] and [`Mirror::transfer`].
///
/// ```no_run
/// use e3sync::Mirror;
/// use e3sync::credentials::SecretSource;
///
/// # async fn example() -> e3sync::error::Result<()> {
/// let day = jiff::civil::date(2026, 11, 20);
/// let mirror = Mirror::in_directory("/data/events", jiff::Timestamp::now())
///     .token(SecretSource::File("/run/secrets/optimizely".into()))?
///     .days(day);
/// let outcome = mirror.sync().await?;
/// for partition in &outcome.partitions {
///     println!("{}: {}", partition.partition, partition.reason);
/// }
/// assert!(mirror.verify().await?.differences.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mirror {
    /// Where the export is and by what right it is read; `None` until a token is given.
    pub source: Option<SourceSettings>,
    /// Where the mirror is and how it is used.
    pub destination: DestinationSettings,
    /// Which partitions.
    pub selection: Selection,
    /// How to decide about them.
    pub options: PlanOptions,
    /// How to transfer.
    pub transfer: TransferSettings,
    join: Option<Join>,
    handles: RunHandles,
}

impl Mirror {
    /// A mirror at this address; `now` is the present time, which the library does not read itself.
    pub fn at(address: Address, now: Timestamp) -> Self {
        Self {
            source: None,
            destination: DestinationSettings::new(address),
            selection: Selection::of(DaysWanted::Incremental),
            options: PlanOptions::at(now),
            transfer: TransferSettings::default(),
            join: None,
            handles: RunHandles::silent(Arc::new(Clock::starting_at(now))),
        }
    }

    /// A mirror in a local directory, which is made where it is missing.
    pub fn in_directory(path: impl Into<PathBuf>, now: Timestamp) -> Self {
        Self::at(Address::Directory(path.into()), now)
    }

    /// Reads the export with the vendor's token.
    ///
    /// # Errors
    /// As [`ExchangeSettings::new`].
    pub fn token(mut self, token: impl Into<TokenSource>) -> Result<Self> {
        self.source = Some(SourceSettings::new(Access::Exchange(ExchangeSettings::new(token)?)));
        Ok(self)
    }

    /// Reads the export at another server than the vendor's: a simulator on this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what is neither HTTPS nor on this machine, or where no token is given yet.
    pub fn server(mut self, url: &str) -> Result<Self> {
        let url: Url = net::parse_endpoint("the server", url)?;
        self.source = Some(self.source_settings()?.at_server(&url));
        Ok(self)
    }

    /// Selects days: a day, a range of days, or [`DaysWanted`].
    #[must_use]
    pub fn days(mut self, days: impl Into<DaysWanted>) -> Self {
        self.selection.days = days.into();
        self
    }

    /// Selects types, in place of the documented ones.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = TypeName>) -> Self {
        self.selection.types = types.into_iter().collect();
        self
    }

    /// Selects a part of each partition.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.selection.scope = scope;
        self
    }

    /// Works together with other runs on the same destination: what they have taken is left to them and waited for.
    #[must_use]
    pub fn join(mut self, join: Join) -> Self {
        self.join = Some(join);
        self.destination.is_joined = true;
        self
    }

    /// Tells the events of runs and verifications to `observer`.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.handles.observer = observer;
        self
    }

    /// Lets a run end early, with all that it has begun kept, once `stop` has a value.
    #[must_use]
    pub fn stop(mut self, stop: watch::Receiver<Option<ErrorKind>>) -> Self {
        self.handles.stop = stop;
        self
    }

    /// Brings the mirror up to date.
    ///
    /// # Errors
    /// What keeps the run from beginning; what happens later is in the outcome, see
    /// [`RunOutcome::stopped_by`] and [`RunOutcome::partitions`].
    pub async fn sync(&self) -> Result<RunOutcome> {
        let (watch, source) = (self.handles.watch(), self.source_settings()?);
        self.selection.check_days(self.today())?;
        let clouds = source.connect(&watch).await?;
        let destination = self.destination.open(&clouds.present[0].location.account_id, &watch).await?;
        let request = SyncRequest {
            selection: self.selection.clone(),
            options: self.options.clone(),
            transfer: self.transfer.clone(),
            today: self.today(),
            spill_folder: self.destination.spill_folder(),
            join: self.join,
        };
        let outcome = sync::sync(request, &clouds, destination.clone(), self.handles.clone()).await;
        for message in destination.close().await {
            watch.observer.observe(&Event::Warning { message: &message });
        }
        outcome
    }

    /// Compares every byte of the selected published days with their manifests. Nothing is fetched, and no
    /// token is needed. Days are taken as for a run; [`DaysWanted::Incremental`] means all.
    ///
    /// # Errors
    /// What keeps the verification from beginning; what happens later is in the outcome.
    pub async fn verify(&self) -> Result<VerifyOutcome> {
        let files = self.destination.look(&self.handles.watch()).await?;
        let address = self.destination.address.to_string();
        let readers_max = self.destination.address.readers_max();
        let request =
            VerifyRequest { readers_max, ..VerifyRequest::new(self.selection.clone(), address, self.today()) };
        verify::verify(request, files, self.handles.clone()).await
    }

    fn source_settings(&self) -> Result<SourceSettings> {
        self.source.clone().ok_or_else(|| Error::new(ErrorKind::Usage, "no token is given to read the export with"))
    }

    fn today(&self) -> Date {
        utc_day(self.options.now)
    }
}
