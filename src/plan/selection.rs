//! Which partitions a command is about: types times days, by what the source and the destination
//! have.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::offer::{HINT_TO_NAME_DAYS, TypesOffered, is_anything_unseen};
use crate::destination::PublishedDays;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Days, Partition, Scope, Strays, TypeName};
use crate::source::{AbsentCloud, CloudDays, Clouds};

/// Which days are wanted, as a user says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaysWanted {
    /// All days of a range.
    Range(Days),
    /// Single days.
    Dates(Vec<Date>),
    /// From the destination's oldest published day to yesterday: finished days are skipped, gaps
    /// are filled, new days are taken.
    Incremental,
    /// Whatever days the source has.
    All,
    /// These partitions, neither other days of their types nor other types of their days.
    Each(Vec<Partition>),
}

impl From<Days> for DaysWanted {
    fn from(days: Days) -> Self {
        Self::Range(days)
    }
}

impl From<Date> for DaysWanted {
    fn from(day: Date) -> Self {
        Self::Dates(vec![day])
    }
}

/// What a command is about.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The types; empty for the documented ones.
    pub types: Vec<TypeName>,
    /// The days.
    pub days: DaysWanted,
    /// How much of each partition.
    pub scope: Scope,
}

impl Selection {
    /// All documented types of these days, whole.
    pub fn of(days: impl Into<DaysWanted>) -> Self {
        Self { types: Vec::new(), days: days.into(), scope: Scope::All }
    }
}

/// The selected partitions, and what the source has of their types.
pub struct Selected {
    /// The partitions, oldest day first.
    pub partitions: Vec<Partition>,
    /// Between which days they lie.
    pub days: Option<Days>,
    /// The days that each cloud has of the selected types.
    pub cloud_days: Vec<CloudDays>,
    /// The days that were asked for and lie before all that the source or the destination has.
    pub days_before: Option<Days>,
    /// Types at the source that are not documented and were not asked for.
    pub other_types: Vec<TypeName>,
    /// What stands among the days of the selected types and is none.
    pub strays: Strays,
    /// What is published here and no cloud lists.
    pub vanished: Vanished,
    /// The clouds that take no part, and why.
    pub absent: Vec<AbsentCloud>,
    /// Whether days or types may be where nobody sees them now, in a cloud that takes no part.
    pub is_partial_view: bool,
}

impl Selected {
    /// The types whose days a cloud does not let be listed.
    pub fn untold_types(&self) -> Vec<TypeName> {
        let mut types: Vec<TypeName> = self.cloud_days.iter().flat_map(|cloud| &cloud.untold).cloned().collect();
        types.sort();
        types.dedup();
        types
    }
}

/// Published types that the source does not list at all, in no cloud that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vanished {
    /// The selected ones among them, ascending.
    pub types: Vec<TypeName>,
    /// Whether the source lists no type whatever.
    pub is_whole_export: bool,
}

impl Vanished {
    fn of(types: &[TypeName], listed: &[TypeName], published: &PublishedDays) -> Self {
        let is_published = |name: &TypeName| published.iter().any(|(known, days)| known == name && !days.is_empty());
        let types: Vec<TypeName> =
            types.iter().filter(|name| !listed.contains(name) && is_published(name)).cloned().collect();
        Self { is_whole_export: listed.is_empty() && !types.is_empty(), types }
    }

    /// What is to be said of it, as a lower-case fragment; `None` where nothing has vanished.
    pub fn message(&self) -> Option<String> {
        if self.types.is_empty() {
            return None;
        }
        if self.is_whole_export {
            let message =
                "the source lists no type at all, as if the whole export had vanished; what is published here is kept";
            return Some(message.to_owned());
        }
        let names: Vec<String> = self.types.iter().map(ToString::to_string).collect();
        Some(format!("the source does not list type {}; what is published of it here is kept", names.join(", ")))
    }
}

impl Selection {
    /// Finds the selected partitions: for each cloud one request for the types, and one for each
    /// type's days. Where they may not be listed, the types that are named or documented are taken, and
    /// each selected day is found out about by its own listing.
    ///
    /// A cloud that refuses all of that, or whose bucket is not there, takes no part, as long as there is
    /// another one.
    ///
    /// # Errors
    /// What the source answers; [`ErrorKind::Usage`] for a type that the export does not have, for
    /// an incremental selection of an empty destination, or for no choice of days where none are told.
    pub async fn select(&self, clouds: &Clouds, published: &PublishedDays, today: Date) -> Result<Selected> {
        let offered = TypesOffered::ask(clouds).await?;
        let listed = offered.listed();
        let (types, other_types) = self.choose_types(&listed, &offered, published)?;
        let newest = |name: &TypeName| self.newest_of(name, published, today);
        let offered = offered.ask_days(&types, newest).await?;
        self.check_bounded(&offered.cloud_days)?;
        let is_partial_view = is_anything_unseen(&offered.absent);
        let vanished = if is_partial_view || offered.has_untold_types {
            Vanished::default()
        } else {
            Vanished::of(&types, &listed, published)
        };
        let mut partitions = BTreeMap::new();
        for type_name in &types {
            for date in self.days_of(type_name, &offered.cloud_days, published, today)? {
                partitions.insert((date, type_name.clone()), Partition { type_name: type_name.clone(), date });
            }
        }
        let days = partitions.keys().next().zip(partitions.keys().next_back());
        let days = days.map(|((from, _), (to, _))| Days { from: *from, to: *to });
        Ok(Selected {
            days,
            partitions: partitions.into_values().collect(),
            days_before: self.days_before(days),
            other_types,
            is_partial_view,
            cloud_days: offered.cloud_days,
            strays: offered.strays,
            absent: offered.absent,
            vanished,
        })
    }

    /// Refuses to look for days without end where no listing tells which there are.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] with what to give.
    fn check_bounded(&self, cloud_days: &[CloudDays]) -> Result<()> {
        let is_untold = cloud_days.iter().any(|cloud| !cloud.untold.is_empty());
        if !is_untold || self.days != DaysWanted::All {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, "the source does not let its days be listed, and none are given")
            .with_hint(HINT_TO_NAME_DAYS))
    }

    /// The newest selected day of a type, whoever has it.
    fn newest_of(&self, type_name: &TypeName, published: &PublishedDays, today: Date) -> Option<Partition> {
        let days = self.days_of(type_name, &[], published, today).ok()?;
        days.into_iter().max().map(|date| Partition { type_name: type_name.clone(), date })
    }

    /// Refuses days that have not come yet.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] with the day.
    pub fn check_days(&self, today: Date) -> Result<()> {
        let last = match &self.days {
            DaysWanted::Range(days) => Some(days.to),
            DaysWanted::Dates(dates) => dates.iter().max().copied(),
            DaysWanted::Each(_) | DaysWanted::Incremental | DaysWanted::All => None,
        };
        match last.filter(|last| *last > today) {
            Some(last) => Err(not_come_yet(last, today)),
            None => Ok(()),
        }
    }

    fn days_before(&self, chosen: Option<Days>) -> Option<Days> {
        let (DaysWanted::Range(wanted), Some(chosen)) = (&self.days, chosen) else { return None };
        let last = chosen.from.yesterday().ok()?;
        (wanted.from <= last).then_some(Days { from: wanted.from, to: last })
    }

    /// The selected ones of a destination's own days, oldest first; no source is asked.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a type that the destination does not have, or when nothing of it is
    /// selected.
    pub fn of_published(&self, published: &PublishedDays) -> Result<Vec<Partition>> {
        let is_known = |name: &TypeName| published.iter().any(|(known, _)| known == name);
        if let Some(unknown) = self.types.iter().find(|name| !is_known(name)) {
            let names: Vec<String> = published.iter().map(|(name, _)| name.to_string()).collect();
            return Err(Error::new(ErrorKind::Usage, format!("the destination has no type `{unknown}`"))
                .with_hint(format!("it has: {}", names.join(", "))));
        }
        let mut chosen = BTreeMap::new();
        for (type_name, dates) in published {
            for date in dates {
                let partition = Partition { type_name: type_name.clone(), date: *date };
                if self.wants(&partition) {
                    chosen.insert((*date, type_name.clone()), partition);
                }
            }
        }
        if chosen.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the destination has nothing of what is selected")
                .with_hint("`e3sync status` shows the days that it has"));
        }
        Ok(chosen.into_values().collect())
    }

    fn wants(&self, partition: &Partition) -> bool {
        let is_of_type = self.types.is_empty() || self.types.contains(&partition.type_name);
        is_of_type
            && match &self.days {
                DaysWanted::Range(days) => days.contains(partition.date),
                DaysWanted::Dates(dates) => dates.contains(&partition.date),
                DaysWanted::Each(partitions) => partitions.contains(partition),
                DaysWanted::Incremental | DaysWanted::All => true,
            }
    }

    /// The selected types, and those of the source that nobody asked for.
    ///
    /// Where a cloud does not tell its types, the documented ones are looked for, and a type that was asked
    /// for is taken at its word.
    fn choose_types(
        &self,
        listed: &[TypeName],
        offered: &TypesOffered,
        published: &PublishedDays,
    ) -> Result<(Vec<TypeName>, Vec<TypeName>)> {
        let is_partial_view = is_anything_unseen(&offered.absent);
        if self.types.is_empty() {
            let is_documented = |name: &TypeName| TypeName::DOCUMENTED.contains(&name.as_str());
            let (mut chosen, others): (Vec<_>, _) = listed.iter().cloned().partition(is_documented);
            // What is published and has gone at the source is to be told, not passed over.
            chosen.extend(published.iter().map(|(name, _)| name).filter(|name| is_documented(name)).cloned());
            if offered.has_untold() {
                chosen.extend(TypeName::DOCUMENTED.into_iter().filter_map(|name| TypeName::parse(name).ok()));
            }
            chosen.sort();
            chosen.dedup();
            let is_nothing = chosen.is_empty() && others.is_empty();
            return if is_nothing { Err(nothing_exported(is_partial_view)) } else { Ok((chosen, others)) };
        }
        let may_be_untold = is_partial_view || offered.has_untold();
        let is_known = |name: &TypeName| {
            may_be_untold || listed.contains(name) || published.iter().any(|(known, _)| known == name)
        };
        if let Some(unknown) = self.types.iter().find(|name| !is_known(name)) {
            let names: Vec<String> = listed.iter().map(ToString::to_string).collect();
            return Err(Error::new(ErrorKind::Usage, format!("the export has no type `{unknown}`")).with_hint(
                format!("it has: {}", if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }),
            ));
        }
        let mut chosen = self.types.clone();
        chosen.sort();
        chosen.dedup();
        Ok((chosen, Vec::new()))
    }

    fn days_of(
        &self,
        type_name: &TypeName,
        cloud_days: &[CloudDays],
        published: &PublishedDays,
        today: Date,
    ) -> Result<Vec<Date>> {
        Ok(match &self.days {
            DaysWanted::Range(days) => {
                if cloud_days.iter().any(|cloud| cloud.untold.contains(type_name)) {
                    return Ok(days.iter().collect());
                }
                // Before the first day that anybody has there is nothing to say about any.
                let known = cloud_days.iter().filter_map(|cloud| cloud.days.get(type_name)?.first());
                let here = published.iter().filter(|(name, _)| name == type_name).filter_map(|(_, days)| days.first());
                let first = known.chain(here).min().copied().unwrap_or(days.to);
                let from = days.from.max(first.min(days.to));
                Days { from, to: days.to }.iter().collect()
            }
            DaysWanted::Dates(dates) => dates.clone(),
            DaysWanted::Each(partitions) => {
                let of_type = partitions.iter().filter(|partition| partition.type_name == *type_name);
                of_type.map(|partition| partition.date).collect()
            }
            DaysWanted::All => {
                cloud_days.iter().filter_map(|cloud| cloud.days.get(type_name)).flatten().copied().collect()
            }
            DaysWanted::Incremental => {
                let oldest = published.iter().filter_map(|(_, days)| days.first()).min();
                let oldest = *oldest.ok_or_else(nothing_published)?;
                let yesterday = today.yesterday().unwrap_or(today);
                if yesterday < oldest { Vec::new() } else { Days { from: oldest, to: yesterday }.iter().collect() }
            }
        })
    }
}

/// The refusal of a day, or of a partition of it, that lies ahead.
pub fn not_come_yet(what: impl std::fmt::Display, today: Date) -> Error {
    Error::new(ErrorKind::Usage, format!("{what} is in the future: today is {today} (UTC)"))
        .with_hint("the newest day that can be complete is yesterday")
}

fn nothing_exported(is_partial_view: bool) -> Error {
    let what = match is_partial_view {
        true => "there is no type= folder in the clouds that take part",
        false => "the export is empty: it has no type= folder",
    };
    Error::new(ErrorKind::NotReady, what).with_hint(
        "a new export fills after its first day; otherwise check the account and --source, or ask the vendor's support",
    )
}

fn nothing_published() -> Error {
    Error::new(ErrorKind::Usage, "no days are given and the destination is empty").with_hint(
        "the first backfill is your decision: give --from YYYY-MM-DD or --last 30d; `e3sync ls` shows what the source has",
    )
}
