//! Histories: what happens to an export and its mirror, step by step, drawn from a seed.

use std::collections::BTreeSet;

use e3sync::plan::Ready;

use crate::place::Harm;
use crate::random::Random;
use crate::reference::{Ask, CLOUDS, Wanted, sub_partition};
use crate::script::{Incident, Kill};
use crate::source::{DAYS, Export, Refusal};

/// The names of the events.
pub const EVENTS: [&str; 3] = ["a", "b", "c"];

/// A change at the source. One that finds nothing to change changes nothing, so that a history without
/// some of its steps still is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// So many objects more.
    Add { cloud: usize, day: usize, event: &'static str, count: usize },
    /// Retention takes single objects: every one whose number is in the list.
    Lose { cloud: usize, day: usize, numbers: Vec<usize> },
    /// Retention takes a sub-partition.
    LoseEvent { cloud: usize, day: usize, event: &'static str },
    /// Retention takes a day with its marker.
    LoseDay { cloud: usize, day: usize },
    /// A rerun writes these events again, each with so many objects.
    Rewrite { cloud: usize, day: usize, events: Vec<&'static str>, count: usize, size: usize, rows: u64, names: Names },
    /// The marker comes or goes.
    Mark { cloud: usize, day: usize, is_there: bool },
    /// The marker comes where there are objects.
    Declare { cloud: usize, day: usize },
    /// A cloud serves the export or does not.
    Serve { cloud: usize, does: bool },
    /// One day is refused from now on, or no longer.
    Refuse { day: usize, how: Option<Refusal> },
}

/// How a rerun names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Fresh,
    Same,
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, export: &mut Export) {
        match self {
            Self::Add { cloud, day, event, count } => {
                for _ in 0..*count {
                    let (key, object) = (export.fresh_key(*cloud, event), export.object(40, 40));
                    export.insert((*cloud, *day), key, object);
                }
            }
            Self::Lose { cloud, day, numbers } => {
                let listing = export.days.entry((*cloud, *day)).or_default();
                let mut number = 0..;
                listing.objects.retain(|_, _| !numbers.contains(&number.next().unwrap()));
            }
            Self::LoseEvent { cloud, day, event } => {
                let folder = format!("event={event}");
                let listing = export.days.entry((*cloud, *day)).or_default();
                listing.objects.retain(|key, _| sub_partition(key) != folder);
            }
            Self::LoseDay { cloud, day } => drop(export.days.remove(&(*cloud, *day))),
            Self::Rewrite { cloud, day, events, count, size, rows, names } => {
                for event in events {
                    rewrite(export, (*cloud, *day), event, *count, (*size, *rows), *names);
                }
            }
            Self::Mark { cloud, day, is_there } => {
                export.days.entry((*cloud, *day)).or_default().has_marker = *is_there;
            }
            Self::Declare { cloud, day } => {
                let listing = export.days.entry((*cloud, *day)).or_default();
                listing.has_marker |= !listing.objects.is_empty();
            }
            Self::Serve { cloud, does } => export.silent[*cloud] = !does,
            Self::Refuse { day, how } => match how {
                Some(refusal) => drop(export.refusals.insert(*day, *refusal)),
                None => drop(export.refusals.remove(day)),
            },
        }
    }
}

fn rewrite(
    export: &mut Export,
    place: (usize, usize),
    event: &str,
    count: usize,
    (size, rows): (usize, u64),
    names: Names,
) {
    let folder = format!("event={event}");
    let listing = export.days.entry(place).or_default();
    let before: Vec<String> = listing.objects.keys().filter(|key| sub_partition(key) == folder).cloned().collect();
    listing.objects.retain(|key, _| sub_partition(key) != folder);
    for number in 0..count {
        let same = before.get(number).filter(|_| names == Names::Same).cloned();
        let key = same.unwrap_or_else(|| export.fresh_key(place.0, event));
        let object = export.object(size, rows);
        export.insert(place, key, object);
    }
}

/// A step of a history.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The source changes.
    Source(Change),
    /// A run, and what happens in its middle.
    Sync(Ask, Option<Incident>),
    /// Two runs begin at the same moment; requests take turns by the seed.
    Together(Ask, Ask, u64),
    /// `verify --repair`, with these clouds.
    Repair(Vec<usize>),
    /// The published file with this number is harmed.
    Harm { day: usize, number: usize, how: Harm },
    /// Somebody deletes a day's manifest.
    LoseManifest { day: usize },
    /// Somebody puts a file of their own into a day.
    Foreign { day: usize, name: &'static str },
    /// The mirror is copied, and the copy used from then on.
    Copy,
}

/// A history.
#[derive(Clone, Debug)]
pub struct History {
    pub seed: u64,
    pub is_bucket: bool,
    pub is_parquet: bool,
    pub steps: Vec<Step>,
}

impl History {
    /// The history of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (is_bucket, is_parquet) = (random.percent(50), random.percent(50));
        let mut steps = Vec::new();
        for day in 0..DAYS.len() {
            if random.percent(70) {
                begin_day(&mut random, day, &mut steps);
            }
        }
        for _ in 0..4 + random.below(5) {
            draw_step(&mut random, is_bucket, &mut steps);
        }
        Self { seed, is_bucket, is_parquet, steps }
    }
}

/// A day appears in one or both clouds, mostly complete.
fn begin_day(random: &mut Random, day: usize, steps: &mut Vec<Step>) {
    let clouds = random.one_of(&[vec![0], vec![0], vec![1], vec![0, 1]]);
    for cloud in clouds {
        for event in EVENTS {
            if random.percent(60) {
                steps.push(Step::Source(Change::Add { cloud, day, event, count: 1 + random.below(4) }));
            }
        }
        steps.push(Step::Source(Change::Mark { cloud, day, is_there: random.percent(80) }));
    }
}

fn draw_step(random: &mut Random, is_bucket: bool, steps: &mut Vec<Step>) {
    match random.below(100) {
        0..35 => {
            for _ in 0..=random.below(2) {
                steps.push(Step::Source(draw_change(random)));
            }
        }
        35..55 => steps.push(Step::Sync(draw_ask(random), None)),
        55..73 => {
            let ask = draw_ask(random);
            let incident = draw_incident(random, is_bucket, &ask);
            steps.push(Step::Sync(ask, Some(incident)));
        }
        73..77 => {
            let ask = draw_ask(random);
            let other = if random.percent(70) { ask.clone() } else { draw_ask(random) };
            steps.push(Step::Together(ask, other, random.below(usize::MAX) as u64));
        }
        77..85 => {
            let how = random.one_of(&[Harm::Rot, Harm::Cut, Harm::Delete]);
            steps.push(Step::Harm { day: random.below(DAYS.len()), number: random.below(8), how });
            if random.percent(40) {
                steps.push(Step::Source(draw_change(random)));
            }
            if random.percent(70) {
                steps.push(Step::Repair(draw_clouds(random)));
            }
        }
        85..90 => steps.push(Step::Repair(draw_clouds(random))),
        90 => steps.push(Step::LoseManifest { day: random.below(DAYS.len()) }),
        91..95 => {
            let name = random.one_of(&["notes.txt", ".DS_Store", "event=a/notes.txt"]);
            steps.push(Step::Foreign { day: random.below(DAYS.len()), name });
        }
        _ => steps.push(Step::Copy),
    }
}

fn draw_change(random: &mut Random) -> Change {
    let (day, event) = (random.below(DAYS.len()), random.one_of(&EVENTS));
    let cloud = usize::from(random.percent(25));
    match random.below(100) {
        0..20 => Change::Add { cloud, day, event, count: 1 + random.below(2) },
        20..40 => {
            let numbers: BTreeSet<usize> = (0..1 + random.below(4)).map(|_| random.below(8)).collect();
            Change::Lose { cloud, day, numbers: numbers.into_iter().collect() }
        }
        40..47 => Change::LoseEvent { cloud, day, event },
        47..53 => Change::LoseDay { cloud, day },
        53..75 => {
            let mut events = EVENTS.to_vec();
            if random.percent(50) {
                events.retain(|_| random.percent(50));
            }
            let (count, size) = (1 + random.below(4), random.one_of(&[40, 40, 40, 10]));
            let (rows, names) =
                (random.one_of(&[40, 40, 40, 4]), random.one_of(&[Names::Fresh, Names::Fresh, Names::Same]));
            Change::Rewrite { cloud, day, events, count, size, rows, names }
        }
        75..87 => Change::Mark { cloud, day, is_there: random.percent(65) },
        87..93 => Change::Serve { cloud: random.below(CLOUDS), does: random.percent(50) },
        _ => {
            let refusal = random.one_of(&[Refusal::Listing, Refusal::Objects, Refusal::Key]);
            Change::Refuse { day, how: random.percent(60).then_some(refusal) }
        }
    }
}

fn draw_clouds(random: &mut Random) -> Vec<usize> {
    random.one_of(&[vec![0, 1], vec![0, 1], vec![0, 1], vec![1, 0], vec![0], vec![1]])
}

fn draw_ask(random: &mut Random) -> Ask {
    let days = if random.percent(75) { (0..DAYS.len()).collect() } else { vec![random.below(DAYS.len())] };
    let scope = match random.below(10) {
        0..5 => Wanted::All,
        5..8 => Wanted::events(random.one_of(&EVENTS)),
        _ => Wanted::events("ab"),
    };
    Ask {
        days,
        scope,
        ready: random.one_of(&[Ready::Success, Ready::Success, Ready::Grace, Ready::Any]),
        accepts_shrink: random.percent(12),
        relisted_from: random.one_of(&[0, 0, 0, 1, 2]),
        clouds: draw_clouds(random),
    }
}

fn draw_incident(random: &mut Random, is_bucket: bool, ask: &Ask) -> Incident {
    let request = random.below(24) as u64;
    match random.below(10) {
        0..5 => {
            let day = random.one_of(&ask.days);
            let changes = (0..=random.below(2)).map(|_| on_day(draw_change(random), day)).collect();
            Incident::Change(request, changes)
        }
        5 => Incident::Stop(request),
        6 => Incident::Kill(Kill::AtRequest(request)),
        7 => Incident::Kill(Kill::AtEvent(random.below(20) as u64)),
        _ if !is_bucket => Incident::Kill(Kill::AtEvent(random.below(20) as u64)),
        8 => Incident::Kill(Kill::BeforeWrite(random.below(90) as u64)),
        _ => Incident::Kill(Kill::AfterWrite(random.below(90) as u64)),
    }
}

/// The change, on this day.
fn on_day(mut change: Change, wanted: usize) -> Change {
    match &mut change {
        Change::Add { day, .. }
        | Change::Lose { day, .. }
        | Change::LoseEvent { day, .. }
        | Change::LoseDay { day, .. }
        | Change::Rewrite { day, .. }
        | Change::Mark { day, .. }
        | Change::Declare { day, .. }
        | Change::Refuse { day, .. } => *day = wanted,
        Change::Serve { .. } => {}
    }
    change
}
