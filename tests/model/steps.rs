//! The steps that run the library, each with its plan, its run and the check of every day.

use std::collections::BTreeSet;

use e3sync::destination::Damage;
use e3sync::error::{Error, ErrorKind};
use e3sync::export::Scope;
use e3sync::plan::Ready;
use e3sync::transfer::PartitionOutcome;
use e3sync::verify::{VerifyOutcome, check_repairable};

use crate::failure::{Failure, ensure, fail};
use crate::judge::Ran;
use crate::reference::{Ask, DayAtSource, Wanted, expect, reachable};
use crate::run::{self, on_runtime};
use crate::script::{Incident, Script};
use crate::source::{DAYS, day_of, partition};
use crate::world::World;

impl World {
    /// A run in which nothing happens from outside: it does what `plan` says and what the reference
    /// says, and a second one has nothing to do.
    pub fn sync(&mut self, ask: &Ask) -> Result<(), Failure> {
        let moment = self.at_source();
        let planned = on_runtime(run::plan(&self.place, &self.export, ask));
        let ran = self.run(ask, None, Damage::default());
        if self.has_nothing_to_select(ask, &moment) {
            return Ok(());
        }
        self.check_run_ended(&ran)?;
        let plans = planned.or_else(|error| fail("plan", || format!("plan failed: {error}")))?;
        for day in &ask.days {
            let expected = expect(self.published[*day].as_ref(), &moment[*day], ask, false);
            self.check_plan(*day, &plans, &ran, &expected)?;
            self.check_untroubled(*day, &ran)?;
            self.check_held(*day, &ran, &expected)?;
        }
        self.check_days(ask, &moment, &ran, &[])?;
        self.check_at_rest(ask)
    }

    fn run(&self, ask: &Ask, incident: Option<Incident>, damage: Damage) -> Ran {
        let is_calm = incident.is_none();
        let is_broken_off = matches!(incident, Some(Incident::Kill(_) | Incident::Stop(_)));
        let script = Script::new(incident);
        let outcome = on_runtime(run::sync(&self.place, &self.export, ask, &script, damage));
        if script.is_killed() {
            run::end_runtime();
        }
        let is_stopped = |error: &Error| error.kind() == ErrorKind::Interrupted;
        let was_stopped = match &outcome {
            Ok(outcome) => outcome.stopped_by.as_ref().is_some_and(is_stopped),
            Err(error) => is_stopped(error),
        };
        Ran { outcome, is_broken_off: is_broken_off && (script.is_killed() || was_stopped), is_calm }
    }

    /// Nothing is exported and nothing published: a run ends with an error that says so.
    fn has_nothing_to_select(&self, ask: &Ask, moment: &[DayAtSource]) -> bool {
        let is_exported = |day: &DayAtSource| ask.clouds.iter().any(|cloud| day.clouds[*cloud].is_some());
        self.published.iter().all(Option::is_none) && !moment.iter().any(is_exported)
    }

    /// A run in whose middle something happens: each day is what it was, or what the source had at a
    /// moment of the run.
    pub fn sync_with(&mut self, ask: &Ask, incident: &Incident) -> Result<(), Failure> {
        let before = self.at_source();
        let ran = self.run(ask, Some(incident.clone()), Damage::default());
        let after = self.at_source();
        if !self.has_nothing_to_select(ask, &before) && !self.has_nothing_to_select(ask, &after) {
            self.check_run_ended(&ran)?;
        }
        // Which days a cloud has is asked once, cloud by cloud; what is in them, later.
        let known = [[true, true], [true, false], [false, true]];
        let pairs = before.iter().zip(&after);
        let known_before = pairs.flat_map(|(before, after)| known.map(|known| after.in_clouds_of(before, known)));
        let moments = known_before.chain(before.clone()).chain(after.clone()).collect::<Vec<_>>();
        self.check_reachable(&moments, &[(ask.clone(), false)], &[ran])
    }

    fn check_reachable(&mut self, moments: &[DayAtSource], asks: &[(Ask, bool)], runs: &[Ran]) -> Result<(), Failure> {
        let files = self.place.files();
        for day in 0..DAYS.len() {
            let of_day: Vec<DayAtSource> = moments.iter().filter(|moment| moment.day == day).cloned().collect();
            let asks: Vec<(Ask, bool)> =
                asks.iter().map(|(ask, is_repair)| (self.ask_of_day(day, ask), *is_repair)).collect();
            let allowed = reachable(self.published[day].as_ref(), &of_day, &asks);
            let set = self.check_day(day, allowed, self.decisive(day, runs), &files)?;
            self.settle(day, set, &files);
        }
        Ok(())
    }

    /// The run that left the day as it is. Whichever was through with the day last has left it whole;
    /// but one with nothing to do there takes what an earlier run left for the other's work, while the
    /// other has it in hand.
    fn decisive<'a>(&self, day: usize, runs: &'a [Ran]) -> &'a Ran {
        let published = |ran: &&Ran| ran.of_day(day).is_some_and(|outcome| outcome.published.is_some());
        let failed = |ran: &&Ran| {
            let error = ran.of_day(day).and_then(|outcome| outcome.error.as_ref());
            error.is_some_and(|error| error.kind() != ErrorKind::Held)
        };
        let failed = || runs.iter().find(failed).filter(|_| self.begun.contains(&day));
        let through = || runs.iter().find(|ran| ran.is_through(day));
        runs.iter().find(published).or_else(failed).or_else(through).unwrap_or(&runs[0])
    }

    /// Two runs that begin together: neither harms nor stops the other.
    pub fn together(&mut self, one: &Ask, other: &Ask, seed: u64) -> Result<(), Failure> {
        let moment = self.at_source();
        let is_joined = seed.is_multiple_of(2);
        let script = |seed| Script::new(Some(Incident::Turns { seed, is_joined }));
        let scripts = [seed, seed.rotate_left(17)].map(script);
        let run = |ask, script| run::sync(&self.place, &self.export, ask, script, Damage::default());
        let both = on_runtime(async { tokio::join!(run(one, &scripts[0]), run(other, &scripts[1])) });
        let runs = [both.0, both.1].map(|outcome| Ran { outcome, is_broken_off: false, is_calm: true });
        let asks = [(one.clone(), false), (other.clone(), false)];
        let troubled: Vec<bool> =
            (0..DAYS.len()).map(|day| self.is_troubled(day) || self.is_readiness_unknown(&moment[day])).collect();
        self.check_reachable(&moment, &asks, &runs)?;
        let is_clean = |ran: &Ran| {
            let outcome = ran.outcome.as_ref().ok();
            outcome.is_some_and(|outcome| outcome.partitions.iter().all(|outcome| outcome.error.is_none()))
        };
        let is_calm = one == other && !troubled.contains(&true) && !self.has_nothing_to_select(one, &moment);
        let is_done = if is_joined { runs.iter().all(is_clean) } else { runs.iter().any(is_clean) };
        ensure(!is_calm || is_done, "two runs", || {
            let errors = runs.iter().flat_map(|ran| &ran.outcome).flat_map(|outcome| &outcome.partitions);
            format!(
                "days were left undone (joined: {is_joined}): {:?}",
                errors.filter_map(|outcome| outcome.error.as_ref()).collect::<Vec<_>>()
            )
        })?;
        for (day, is_troubled) in troubled.iter().enumerate() {
            let both: Vec<&Ask> = [one, other].into_iter().filter(|ask| ask.days.contains(&day)).collect();
            let set = &self.published[day];
            let is_done = |ask: &&Ask| expect(set.as_ref(), &moment[day], ask, false).sets.contains(set);
            let are_equal = both.iter().all(|ask| *ask == both[0]);
            let is_served =
                both.is_empty() || if are_equal { both.iter().all(is_done) } else { both.iter().any(is_done) };
            let told = || runs.iter().map(|ran| format!("{:?}", ran.stopped_by().map(ToString::to_string)));
            ensure(is_served || *is_troubled, "two runs", || {
                format!("day {day} was left undone by both: {:?}", told().collect::<Vec<_>>())
            })?;
        }
        Ok(())
    }

    /// `verify --repair`: what was harmed is found and, where the source has it, brought back.
    pub fn repair(&mut self, clouds: &[usize]) -> Result<(), Failure> {
        let Some(found) = self.verify()? else { return Ok(()) };
        let mut damage = found.damage.clone();
        let mut days = Vec::new();
        for (partition, damaged) in &found.damaged {
            match check_repairable(damaged, self.place.is_bucket(), &Scope::All) {
                Ok(()) => days.push(day_of(partition)),
                Err(_) => damage.forget(partition),
            }
        }
        if days.is_empty() {
            return Ok(());
        }
        let (ask, moment) = (run::repair_ask(days.clone(), clouds.to_vec()), self.at_source());
        let ran = self.run(&ask, None, damage);
        self.check_run_ended(&ran)?;
        self.check_days(&ask, &moment, &ran, &days)?;
        self.verify().map(drop)
    }

    /// Verifies, and sees that just what was harmed is found.
    fn verify(&self) -> Result<Option<VerifyOutcome>, Failure> {
        let found = match on_runtime(run::verify(&self.place)) {
            Ok(found) => found,
            // Nothing is published and nothing stands there.
            Err(error) if error.kind() == ErrorKind::Usage => return Ok(None),
            Err(error) => return fail("verify", || format!("verify failed: {error}")),
        };
        if let Some(error) = &found.stopped_by {
            return fail("verify", || format!("verify was stopped: {error}"));
        }
        let is_found = |day: &usize| found.damaged.contains_key(&partition(*day));
        // A run that failed there counts as being at it, until the next one; so does one that overwrote
        // some of the day and was held back.
        let is_left_out = |day: &usize| {
            self.begun.contains(day)
                || self.orphans.contains_key(day)
                || ((self.staged.contains(day) || !self.harmed[*day].is_empty())
                    && found.being_replaced.contains(&partition(*day)))
        };
        for day in (0..DAYS.len()).filter(|day| !is_left_out(day)) {
            let harmed = &self.harmed[day];
            ensure(harmed.is_empty() || is_found(&day), "verify", || format!("day {day}: {harmed:?} is not found"))?;
            let is_sound = harmed.is_empty() && !self.has_foreign(day);
            ensure(!is_sound || !is_found(&day), "verify", || {
                format!("day {day} is sound, and verify finds {:?}", found.damaged[&partition(day)])
            })?;
        }
        Ok(Some(found))
    }

    /// Only a day that the source may still get waits with what was begun.
    fn check_nothing_is_begun(&self) -> Result<(), Failure> {
        let moment = self.at_source();
        let may_come = |day: &usize| !moment[*day].is_grace_over && moment[*day].clouds.iter().all(Option::is_none);
        let left: Vec<&usize> = self.begun.iter().filter(|day| !may_come(day)).collect();
        ensure(left.is_empty(), "ends", || format!("days {left:?} are begun and never ended"))
    }

    /// The last runs of a history, after which nothing is left to do.
    pub fn last_runs(&mut self) -> Result<(), Failure> {
        let ask = Ask {
            days: (0..DAYS.len()).collect(),
            scope: Wanted::All,
            ready: Ready::Success,
            accepts_shrink: false,
            relisted_from: 0,
            clouds: vec![0, 1],
        };
        self.sync(&ask)?;
        self.place.let_time_pass();
        self.check_nothing_is_begun()?;
        let is_harmed = self.harmed.iter().any(|harmed| !harmed.is_empty());
        if is_harmed || self.is_thorough {
            self.repair(&ask.clouds)?;
        }
        if !self.is_thorough {
            return Ok(());
        }
        self.place.let_time_pass();
        let moment = self.at_source();
        if self.has_nothing_to_select(&ask, &moment) {
            return Ok(());
        }
        let ran = self.run(&ask, None, Damage::default());
        self.check_run_ended(&ran)?;
        let is_idle = |outcome: &&PartitionOutcome| !outcome.action.is_change() && outcome.objects_transferred == 0;
        let busy: Vec<usize> = ran
            .outcome
            .iter()
            .flat_map(|outcome| &outcome.partitions)
            .filter(|outcome| !is_idle(outcome))
            .map(|outcome| day_of(&outcome.partition))
            .collect();
        let is_held_by_rows =
            |day: &usize| expect(self.published[*day].as_ref(), &moment[*day], &ask, false).is_held_by_rows;
        let unsettled: BTreeSet<usize> =
            busy.into_iter().filter(|day| !is_held_by_rows(day) && !self.is_troubled(*day)).collect();
        ensure(unsettled.is_empty(), "at rest", || format!("a last run still works on {unsettled:?}"))?;
        self.check_days(&ask, &moment, &ran, &[])
    }
}
