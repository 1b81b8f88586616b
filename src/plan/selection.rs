//! Which partitions a command is about: types times days, by what the source and the destination
//! have.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::civil::Date;

use crate::destination::PublishedDays;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Days, Partition, Scope, Strays, TypeName};
use crate::source::{Cloud, CloudDays};

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
    /// type's days.
    ///
    /// # Errors
    /// What the source answers; [`ErrorKind::Usage`] for a type that the export does not have, or
    /// for an incremental selection of an empty destination.
    pub async fn select(&self, clouds: &[Arc<Cloud>], published: &PublishedDays, today: Date) -> Result<Selected> {
        let mut listed = Vec::with_capacity(clouds.len());
        for cloud in clouds {
            listed.push(cloud.source.list_types().await?);
        }
        let mut all_listed: Vec<TypeName> = listed.concat();
        all_listed.sort();
        all_listed.dedup();
        let (types, other_types) = self.choose_types(&all_listed, published)?;
        let mut cloud_days = Vec::with_capacity(clouds.len());
        let mut strays = Strays::default();
        for (cloud, listed) in clouds.iter().zip(&listed) {
            cloud_days.push(list_days(cloud, &types, listed, &mut strays).await?);
        }
        let vanished = Vanished::of(&types, &all_listed, published);
        let mut partitions = BTreeMap::new();
        for type_name in &types {
            for date in self.days_of(type_name, &cloud_days, published, today)? {
                partitions.insert((date, type_name.clone()), Partition { type_name: type_name.clone(), date });
            }
        }
        let days = partitions.keys().next().zip(partitions.keys().next_back());
        let days = days.map(|((from, _), (to, _))| Days { from: *from, to: *to });
        let days_before = self.days_before(days);
        let partitions = partitions.into_values().collect();
        Ok(Selected { days, partitions, cloud_days, days_before, other_types, strays, vanished })
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
            Some(last) => Err(Error::new(ErrorKind::Usage, format!("{last} is in the future: today is {today} (UTC)"))
                .with_hint("the newest day that can be complete is yesterday")),
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
    fn choose_types(&self, listed: &[TypeName], published: &PublishedDays) -> Result<(Vec<TypeName>, Vec<TypeName>)> {
        if self.types.is_empty() {
            let is_documented = |name: &TypeName| TypeName::DOCUMENTED.contains(&name.as_str());
            let (mut chosen, others): (Vec<_>, _) = listed.iter().cloned().partition(is_documented);
            // What is published and has gone at the source is to be told, not passed over.
            chosen.extend(published.iter().map(|(name, _)| name).filter(|name| is_documented(name)).cloned());
            chosen.sort();
            chosen.dedup();
            return if chosen.is_empty() && others.is_empty() { Err(nothing_exported()) } else { Ok((chosen, others)) };
        }
        let is_known = |name: &TypeName| listed.contains(name) || published.iter().any(|(known, _)| known == name);
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

/// The days that a cloud has of those selected types that it lists; what is no day goes to `strays`.
async fn list_days(
    cloud: &Arc<Cloud>,
    types: &[TypeName],
    listed: &[TypeName],
    strays: &mut Strays,
) -> Result<CloudDays> {
    let mut days = HashMap::new();
    for type_name in types.iter().filter(|name| listed.contains(name)) {
        let found = cloud.source.list_days(type_name).await?;
        strays.extend(found.strays);
        days.insert(type_name.clone(), found.days);
    }
    Ok(CloudDays { cloud: cloud.clone(), days })
}

fn nothing_exported() -> Error {
    Error::new(ErrorKind::NotReady, "the export is empty: it has no type= folder").with_hint(
        "a new export fills after its first day; otherwise check the account and --source, or ask the vendor's support",
    )
}

fn nothing_published() -> Error {
    Error::new(ErrorKind::Usage, "no days are given and the destination is empty").with_hint(
        "the first backfill is your decision: give --from YYYY-MM-DD or --last 30d; `e3sync ls` shows what the source has",
    )
}
