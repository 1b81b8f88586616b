//! Judges a run: what it said, what it did, and what stands at every day after it.

use e3sync::error::{Error, ErrorKind, Result as RunResult};
use e3sync::plan::{Action, PartitionPlan};
use e3sync::transfer::{PartitionOutcome, RunOutcome};

use crate::check::check_gone_marks;
use crate::failure::{Failure, ensure, fail};
use crate::place::Files;
use crate::reference::{Ask, DayAtSource, Expected, Listing, Object, Set, Wanted, expect};
use crate::run::{self, on_runtime};
use crate::source::{DAYS, Refusal, day_of, partition};
use crate::world::World;

/// What a run came to.
pub struct Ran {
    pub outcome: RunResult<RunOutcome>,
    /// Whether it was killed or stopped on purpose.
    pub is_broken_off: bool,
    /// Whether nothing happened in its middle.
    pub is_calm: bool,
}

impl Ran {
    pub fn of_day(&self, day: usize) -> Option<&PartitionOutcome> {
        let outcome = self.outcome.as_ref().ok()?;
        outcome.partitions.iter().find(|outcome| outcome.partition == partition(day))
    }

    /// Whether the run was through with the day, one way or the other. What it begins and then gives up,
    /// because the source changed meanwhile, is taken back by the next one.
    pub fn is_through(&self, day: usize) -> bool {
        self.of_day(day).is_some_and(|outcome| {
            let is_settled = outcome.published.is_some() || !outcome.action.is_change();
            let is_through = outcome.error.is_none() && is_settled && outcome.action != Action::Wait;
            if !self.is_calm {
                return outcome.published.is_some();
            }
            // What is held stands as it was published.
            is_through || is_held(outcome)
        })
    }

    /// What ended the whole run.
    pub fn stopped_by(&self) -> Option<&Error> {
        match &self.outcome {
            Ok(outcome) => outcome.stopped_by.as_ref(),
            Err(error) => Some(error),
        }
    }
}

/// Whether the shrink guard held the day.
pub fn is_held(outcome: &PartitionOutcome) -> bool {
    let is_shrunk = outcome.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Shrunk);
    is_shrunk || outcome.action == Action::Hold
}

/// Whether the day is kept because none of the clouds that take part can say anything of it.
fn is_of_another_cloud(outcome: &PartitionOutcome) -> bool {
    outcome.action == Action::Keep && outcome.reason.starts_with("published from a cloud that")
}

/// Whether a change was begun and not published.
fn is_unfinished(outcome: &PartitionOutcome) -> bool {
    outcome.action.is_change() || outcome.error.is_some()
}

impl World {
    /// One day's trouble ends no run.
    pub fn check_run_ended(&self, ran: &Ran) -> Result<(), Failure> {
        match ran.stopped_by() {
            Some(error) if !ran.is_broken_off => fail("one day's trouble", || format!("the run ended: {error}")),
            _ => Ok(()),
        }
    }

    /// What is asked of a day: one in which a run was broken off is looked at whatever its age.
    pub fn ask_of_day(&self, day: usize, ask: &Ask) -> Ask {
        let relisted_from = if self.begun.contains(&day) { 0 } else { ask.relisted_from };
        Ask { relisted_from, ..ask.clone() }
    }

    /// Whether something at the day keeps the model from saying exactly what a run does there.
    pub fn is_troubled(&self, day: usize) -> bool {
        let is_refused = self.export().refusals.contains_key(&day);
        let is_orphaned = self.orphans.contains_key(&day);
        is_refused || is_orphaned || !self.harmed[day].is_empty() || self.has_foreign(day) || self.begun.contains(&day)
    }

    pub fn check_plan(
        &self,
        day: usize,
        plans: &[RunResult<PartitionPlan>],
        ran: &Ran,
        expected: &Expected,
    ) -> Result<(), Failure> {
        let planned = plans.iter().flatten().find(|plan| plan.partition == partition(day));
        let (Some(plan), Some(outcome)) = (planned, ran.of_day(day)) else { return Ok(()) };
        // What only rows tell is known when the objects are here.
        if outcome.error.is_some() || expected.is_held_by_rows {
            return Ok(());
        }
        let (said, did) = (plan.action, outcome.action);
        ensure(said == did || self.begun.contains(&day), "plan", || {
            format!("day {day}: plan says {said:?} ({}), the run did {did:?} ({})", plan.reason, outcome.reason)
        })?;
        ensure(did.is_change() == outcome.published.is_some(), "plan", || {
            format!("day {day}: {did:?}, published: {}", outcome.published.is_some())
        })?;
        if !did.is_change() || self.is_troubled(day) {
            return Ok(());
        }
        let (said, did) = ((plan.objects(), plan.bytes()), (outcome.objects, outcome.bytes));
        ensure(said == did, "plan", || format!("day {day}: plan says {said:?} objects and bytes, the run {did:?}"))?;
        let (said, did) = (plan.changes.added.objects, outcome.objects_transferred);
        ensure(said == did || (did < said && self.staged.contains(&day)), "plan", || {
            format!("day {day}: plan would transfer {said} objects, the run transferred {did}")
        })
    }

    /// A day at which nothing is wrong does not fail, whatever is wrong at others.
    pub fn check_untroubled(&self, day: usize, ran: &Ran) -> Result<(), Failure> {
        let outcome = ran.of_day(day).filter(|outcome| !self.is_troubled(day) && !is_held(outcome));
        match outcome.and_then(|outcome| outcome.error.as_ref()) {
            Some(error) => fail("one day's trouble", || format!("day {day} has no trouble of its own: {error}")),
            None => Ok(()),
        }
    }

    /// Whether it cannot be known if the type's days have markers at all, because the listing of a
    /// day that would tell is refused. A day without one may wait then.
    pub fn is_readiness_unknown(&self, at_source: &DayAtSource) -> bool {
        let is_refused = self.export().refusals.values().any(|refusal| *refusal == Refusal::Listing);
        let has_marker = |listing: &Listing| listing.has_marker;
        is_refused && at_source.is_grace_over && !at_source.clouds.iter().flatten().all(has_marker)
    }

    /// What the guard holds is told as held.
    pub fn check_held(&self, day: usize, ran: &Ran, expected: &Expected) -> Result<(), Failure> {
        let Some(outcome) = ran.of_day(day).filter(|_| expected.is_held && !self.is_troubled(day)) else {
            return Ok(());
        };
        ensure(is_held(outcome), "held", || {
            format!("day {day} is to be held, and the run says {:?} ({})", outcome.action, outcome.reason)
        })
    }

    /// Checks every day after a run in which nothing happened; `repaired` are the days that it was to
    /// repair.
    pub fn check_days(
        &mut self,
        ask: &Ask,
        moment: &[DayAtSource],
        ran: &Ran,
        repaired: &[usize],
    ) -> Result<(), Failure> {
        let files = self.place.files();
        for day in 0..DAYS.len() {
            let prior = self.published[day].clone();
            let mut allowed = vec![prior.clone()];
            let (is_asked, is_repair) = (ask.days.contains(&day), repaired.contains(&day));
            if is_asked {
                let asked = self.ask_of_day(day, ask);
                let is_readiness_unknown = self.is_readiness_unknown(&moment[day]);
                let mut expected = expect(prior.as_ref(), &moment[day], &asked, is_repair).sets;
                for unsure in moment[day].with_unknown_markers().filter(|_| is_readiness_unknown) {
                    expected.extend(expect(prior.as_ref(), &unsure, &asked, is_repair).sets);
                }
                let is_sure = !self.is_troubled(day) && !is_readiness_unknown;
                let must_change = is_sure || self.must_be_repaired(day, moment, ask, &expected, is_repair);
                allowed = if must_change { expected } else { [allowed, expected].concat() };
            }
            let was_published = ran.of_day(day).is_some_and(|outcome| outcome.published.is_some());
            let set = self.check_day(day, allowed, ran, &files)?;
            if let Some(set) = set.as_ref().filter(|_| is_asked && was_published) {
                check_gone_marks(&files, set, &moment[day])?;
            }
            let is_to_heal = self.must_be_repaired(day, moment, ask, std::slice::from_ref(&set), is_repair);
            self.settle(day, set, &files);
            let harmed = &self.harmed[day];
            ensure(!is_to_heal || harmed.is_empty(), "repair", || format!("day {day}: not repaired: {harmed:?}"))?;
        }
        Ok(())
    }

    /// Whether a repair can bring back each harmed object: the source has it, and lets it be fetched.
    pub fn must_be_repaired(
        &self,
        day: usize,
        moment: &[DayAtSource],
        ask: &Ask,
        sets: &[Option<Set>],
        is_repair: bool,
    ) -> bool {
        let is_hindered = self.export().refusals.contains_key(&day) || self.has_foreign(day);
        if !is_repair || is_hindered || self.begun.contains(&day) {
            return false;
        }
        let [Some(set)] = sets else { return false };
        if !ask.clouds.contains(&set.cloud) {
            return false;
        }
        let listed = moment[day].clouds[set.cloud].clone().unwrap_or_default().objects;
        let can_be_fetched = |key: &String| {
            let object = set.objects.get(key);
            object.is_none() || listed.get(key) == object
        };
        let is_waiting = || {
            // A day that waits for its marker, or is held, need not be touched; a repair asks for all of it.
            let is_here = |(key, object): (&String, &Object)| set.objects.get(key) == Some(object);
            let is_up_to_date = set.scope == Wanted::All && listed.iter().all(is_here);
            self.published[day].as_ref() == Some(set) && !is_up_to_date
        };
        self.harmed[day].iter().all(can_be_fetched) && !is_waiting()
    }

    /// Checks one day, and notes whether a run was broken off there.
    pub fn check_day(
        &mut self,
        day: usize,
        allowed: Vec<Option<Set>>,
        ran: &Ran,
        files: &Files,
    ) -> Result<Option<Set>, Failure> {
        if self.check_orphan(day, files)? {
            return Ok(None);
        }
        if ran.is_through(day) && !ran.is_broken_off {
            self.begun.remove(&day);
            // Of a day whose own cloud is not asked nothing is known, and what is staged of it stays.
            if !ran.of_day(day).is_some_and(is_of_another_cloud) {
                self.staged.remove(&day);
            }
        } else if !ran.is_calm || ran.of_day(day).is_none_or(is_unfinished) {
            self.staged.insert(day);
            if self.place.is_bucket() {
                self.begun.insert(day);
            }
        }
        if !ran.is_through(day) || ran.of_day(day).is_some_and(is_held) {
            self.note_overwritten(day, files);
        }
        let case = self.case(day, allowed);
        let set = case.check(files)?;
        if self.begun.contains(&day) && case.is_exact(files, set.as_ref()) {
            self.begun.remove(&day);
        }
        Ok(set)
    }

    /// Nothing is left to do for the same request.
    pub fn check_at_rest(&self, ask: &Ask) -> Result<(), Failure> {
        let plans = on_runtime(run::plan(&self.place, &self.export, ask));
        let plans = plans.or_else(|error| fail("plan", || format!("plan failed: {error}")))?;
        let moment = self.at_source();
        for plan in plans.iter().flatten().filter(|plan| plan.action.is_change()) {
            let day = day_of(&plan.partition);
            let is_held_by_rows = expect(self.published[day].as_ref(), &moment[day], ask, false).is_held_by_rows;
            ensure(is_held_by_rows || self.is_troubled(day), "at rest", || {
                format!("day {day}: a second run would {:?} ({})", plan.action, plan.reason)
            })?;
        }
        Ok(())
    }
}
