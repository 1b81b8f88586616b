//! What the clouds say that they have: types and days, as far as their credentials may list them, and
//! which clouds turn out to give nothing.
//!
//! Credentials may be limited to prefixes that lie deeper than the listing of types or of days. What is
//! not told is found out by the days themselves, and nothing is concluded from its not being told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Strays, TypeName};
use crate::source::{AbsentCloud, Cloud, CloudDays, Clouds};

/// What helps where days cannot be listed and none are named.
pub(super) const HINT_TO_NAME_DAYS: &str =
    "the credentials may be limited to single days: say which to look for, with --last 7d or with --from and --to";

/// Maximum number of types whose days are listed concurrently.
const TYPES_LISTED_MAX: usize = 8;

/// The types that a cloud says it has.
enum Types {
    Listed(Vec<TypeName>),
    /// The credentials may not list them.
    Untold(Error),
}

/// The clouds that answered the listing of types, and those that take no part.
pub(super) struct TypesOffered {
    clouds: Vec<(Arc<Cloud>, Types)>,
    /// The clouds that take no part.
    pub absent: Vec<AbsentCloud>,
}

/// The clouds that take part, with the days of the selected types.
pub(super) struct DaysOffered {
    pub cloud_days: Vec<CloudDays>,
    pub absent: Vec<AbsentCloud>,
    pub strays: Strays,
    /// Whether a cloud that takes part does not tell which types it has.
    pub has_untold_types: bool,
}

/// Whether a cloud that answers its first listing so takes no part, rather than that the run ends: it
/// refuses, or what it serves is not the export.
fn leaves_out(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::AccessDenied
            | ErrorKind::CredentialsRefused
            | ErrorKind::NetworkRefused
            | ErrorKind::Protocol
            | ErrorKind::Usage
    )
}

impl TypesOffered {
    /// Asks each cloud for its types, one request each.
    pub async fn ask(clouds: &Clouds) -> Result<Self> {
        let mut offered = Self { clouds: Vec::new(), absent: clouds.absent.clone() };
        let mut failures = Vec::new();
        for cloud in &clouds.present {
            match cloud.source.list_types().await {
                Ok(types) => offered.clouds.push((cloud.clone(), Types::Listed(types))),
                Err(error) if error.kind() == ErrorKind::AccessDenied => {
                    offered.clouds.push((cloud.clone(), Types::Untold(error)));
                }
                Err(error) if leaves_out(error.kind()) => failures.push(AbsentCloud::by_listing(cloud, error)),
                Err(error) => return Err(error),
            }
        }
        leave_out(&mut offered.absent, failures, offered.clouds.is_empty())?;
        Ok(offered)
    }

    /// All types that are told of, ascending.
    pub fn listed(&self) -> Vec<TypeName> {
        let listed = self.clouds.iter().filter_map(|(_, types)| match types {
            Types::Listed(types) => Some(types),
            Types::Untold(_) => None,
        });
        let mut listed: Vec<TypeName> = listed.flatten().cloned().collect();
        listed.sort();
        listed.dedup();
        listed
    }

    /// Whether a cloud that takes part does not tell which types it has.
    pub fn has_untold(&self) -> bool {
        self.clouds.iter().any(|(_, types)| matches!(types, Types::Untold(_)))
    }

    /// Asks for the days of these types: one request for each type of each cloud. `newest` gives the day
    /// of a type that shows whether a cloud which tells nothing gives its days at least.
    pub async fn ask_days(
        self,
        types: &[TypeName],
        newest: impl Fn(&TypeName) -> Option<Partition>,
    ) -> Result<DaysOffered> {
        let has_untold_types = self.has_untold();
        let Self { clouds, mut absent } = self;
        let (mut cloud_days, mut strays, mut failures) = (Vec::new(), Strays::default(), Vec::new());
        for (cloud, told) in clouds {
            match days_of(&cloud, types, &told, &newest).await {
                Ok((days, found)) => {
                    cloud_days.push(days);
                    strays.extend(found);
                }
                Err(error) if matches!(told, Types::Untold(_)) && leaves_out(error.kind()) => {
                    failures.push(AbsentCloud::by_listing(&cloud, error));
                }
                Err(error) => return Err(error),
            }
        }
        leave_out(&mut absent, failures, cloud_days.is_empty())?;
        Ok(DaysOffered { cloud_days, absent, strays, has_untold_types })
    }
}

/// Whether a cloud that takes no part may have something.
pub(super) fn is_anything_unseen(absent: &[AbsentCloud]) -> bool {
    absent.iter().any(|cloud| !cloud.is_without_export)
}

/// Notes the clouds that take no part; where none is left, the first one's failure ends the command.
fn leave_out(absent: &mut Vec<AbsentCloud>, failures: Vec<AbsentCloud>, is_none_left: bool) -> Result<()> {
    match failures.first() {
        Some(first) if is_none_left => Err(first.error.clone()),
        _ => {
            absent.extend(failures);
            Ok(())
        }
    }
}

/// The days that a cloud has of those selected types that it has; what is no day is a stray.
async fn days_of(
    cloud: &Arc<Cloud>,
    types: &[TypeName],
    told: &Types,
    newest: impl Fn(&TypeName) -> Option<Partition>,
) -> Result<(CloudDays, Strays)> {
    let (mut days, mut untold, mut strays) = (HashMap::new(), HashSet::new(), Strays::default());
    let may_have = |name: &&TypeName| match told {
        Types::Listed(listed) => listed.contains(name),
        Types::Untold(_) => true,
    };
    let asked =
        types.iter().filter(may_have).map(async |type_name| (type_name, cloud.source.list_days(type_name).await));
    let mut answers = stream::iter(asked).buffered(TYPES_LISTED_MAX);
    while let Some((type_name, answer)) = answers.next().await {
        match answer {
            Ok(found) => {
                strays.extend(found.strays);
                days.insert(type_name.clone(), found.days);
            }
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                untold.insert(type_name.clone());
            }
            Err(error) => return Err(error),
        }
    }
    if let (Types::Untold(refusal), true) = (told, days.is_empty()) {
        let asked = untold.iter().filter_map(newest).collect();
        gives_a_day(cloud, asked, refusal).await?;
    }
    Ok((CloudDays { cloud: cloud.clone(), days, untold }, strays))
}

/// Fails with the first refusal where a cloud refuses every listing, that of single days too.
async fn gives_a_day(cloud: &Cloud, asked: Vec<Partition>, refusal: &Error) -> Result<()> {
    for partition in &asked {
        match cloud.source.list_page(partition, "", None).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AccessDenied => {}
            Err(error) => return Err(error),
        }
    }
    let is_unasked = asked.is_empty();
    let refusal = refusal.clone();
    Err(if is_unasked { refusal.with_hint(HINT_TO_NAME_DAYS) } else { refusal })
}
