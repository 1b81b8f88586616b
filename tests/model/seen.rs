//! Histories that once lost data or told an untruth, each by its name, in a directory and in a bucket.

use e3sync::plan::Ready;

use crate::history::{Change, History, Names, Step};
use crate::place::Harm;
use crate::reference::{Ask, Wanted};
use crate::script::{Incident, Kill};
use crate::source::Refusal;
use crate::world::play;

/// The day of the histories that need only one: it is not complete without its marker.
const DAY: usize = 2;

/// Kills and changes are tried at each request and event up to this one; there are no more.
const MOMENTS: u64 = 24;

/// A run makes no more requests to a bucket.
const WRITES: u64 = 110;

fn play_in(is_bucket: bool, is_parquet: bool, steps: &[Step]) {
    let history = History { seed: 0, is_bucket, is_parquet, steps: steps.to_vec() };
    if let Err((step, failure)) = play(&history, false) {
        let place = if is_bucket { "bucket" } else { "directory" };
        panic!("in a {place}, step {step} of {steps:#?}: {failure}");
    }
}

fn play_everywhere(steps: &[Step]) {
    play_in(false, false, steps);
    play_in(true, false, steps);
}

fn add_to(cloud: usize, day: usize, event: &'static str, count: usize) -> Step {
    Step::Source(Change::Add { cloud, day, event, count })
}

fn add(event: &'static str, count: usize) -> Step {
    add_to(0, DAY, event, count)
}

fn mark_in(cloud: usize, day: usize, is_there: bool) -> Step {
    Step::Source(Change::Mark { cloud, day, is_there })
}

fn mark() -> Step {
    mark_in(0, DAY, true)
}

fn lose(numbers: &[usize]) -> Step {
    Step::Source(Change::Lose { cloud: 0, day: DAY, numbers: numbers.to_vec() })
}

fn rewrite(events: &[&'static str], count: usize, rows: u64) -> Step {
    let (events, names) = (events.to_vec(), Names::Fresh);
    Step::Source(Change::Rewrite { cloud: 0, day: DAY, events, count, size: 40, rows, names })
}

fn ask(scope: Wanted) -> Ask {
    Ask {
        days: vec![0, 1, 2],
        scope,
        ready: Ready::Success,
        accepts_shrink: false,
        relisted_from: 0,
        clouds: vec![0, 1],
    }
}

fn sync(scope: Wanted) -> Step {
    Step::Sync(ask(scope), None)
}

fn sync_all() -> Step {
    sync(Wanted::All)
}

fn harm(number: usize, how: Harm) -> Step {
    Step::Harm { day: DAY, number, how }
}

/// Three days, each complete.
fn three_days() -> Vec<Step> {
    (0..3).flat_map(|day| [add_to(0, day, "a", 3), add_to(0, day, "b", 2), mark_in(0, day, true)]).collect()
}

#[test]
fn what_retention_took_stays_when_the_selection_widens() {
    for wider in [Wanted::events("b"), Wanted::All] {
        let begin = [add("a", 6), add("b", 2), mark(), sync(Wanted::events("a"))];
        play_everywhere(&[&begin[..], &[lose(&[0, 1]), sync(wider.clone())]].concat());
        let gone = Step::Source(Change::LoseEvent { cloud: 0, day: DAY, event: "a" });
        play_everywhere(&[&begin[..], &[gone, sync(wider)]].concat());
    }
}

#[test]
fn a_broken_rerun_is_held_when_the_selection_widens_too() {
    let begin = [add("a", 10), add("b", 2), mark(), sync(Wanted::events("a")), rewrite(&["a"], 1, 40)];
    play_everywhere(&[&begin[..], &[sync(Wanted::events("a")), sync_all()]].concat());
    play_everywhere(&[&begin[..], &[sync_all()]].concat());
}

#[test]
fn a_repair_deletes_nothing_that_the_source_has_lost() {
    for how in [Harm::Rot, Harm::Cut, Harm::Delete] {
        let begin = [add("a", 10), mark(), sync_all(), harm(0, how), lose(&[3, 4, 5, 6])];
        play_everywhere(&[&begin[..], &[Step::Repair(vec![0, 1])]].concat());
    }
}

#[test]
fn a_run_over_a_day_with_a_missing_file_deletes_nothing_and_plan_says_the_same() {
    for how in [Harm::Cut, Harm::Delete] {
        play_everywhere(&[add("a", 10), mark(), sync_all(), harm(0, how), lose(&[3, 4, 5, 6]), sync_all()]);
    }
}

#[test]
fn a_late_object_and_losses_at_once_delete_nothing() {
    play_everywhere(&[add("a", 10), mark(), sync_all(), lose(&[0, 1, 2, 3]), add("a", 1), sync_all()]);
}

#[test]
fn losses_before_the_confirming_listing_delete_nothing() {
    for request in 0..MOMENTS {
        let losses = Change::Lose { cloud: 0, day: DAY, numbers: vec![2, 3, 4, 5, 10] };
        let changing = Step::Sync(ask(Wanted::All), Some(Incident::Change(request, vec![losses])));
        play_everywhere(&[add("a", 10), mark(), sync_all(), add("a", 1), changing]);
    }
}

#[test]
fn the_beginnings_of_a_rewriting_replace_no_complete_day() {
    let any = Ask { ready: Ready::Any, ..ask(Wanted::All) };
    let rewriting = [mark_in(0, DAY, false), rewrite(&["a"], 6, 40), Step::Sync(any, None)];
    play_everywhere(&[&[add("a", 10), mark(), sync_all()], &rewriting[..]].concat());
}

#[test]
fn a_damaged_day_is_repaired_from_the_cloud_that_still_has_it_complete() {
    let begin = [add("a", 4), mark(), add_to(1, DAY, "a", 4), mark_in(1, DAY, true), sync_all()];
    let ends = [Change::LoseDay { cloud: 0, day: DAY }, Change::Serve { cloud: 0, does: false }];
    for end in ends {
        let repair = [harm(1, Harm::Delete), Step::Source(end), Step::Repair(vec![0, 1])];
        play_everywhere(&[&begin[..], &repair].concat());
    }
}

#[test]
fn a_set_never_mixes_two_clouds_nor_loses_one_to_the_other() {
    let begin = [add("a", 3), mark(), add_to(1, DAY, "b", 3), mark_in(1, DAY, true), sync(Wanted::events("a"))];
    let one_cloud = Ask { clouds: vec![1], ..ask(Wanted::All) };
    play_everywhere(&[&begin[..], &[Step::Sync(one_cloud, None)]].concat());
}

#[test]
fn a_day_that_only_rows_hold_back_stands_as_it_was() {
    for is_bucket in [false, true] {
        let steps = [add("a", 4), mark(), sync_all(), rewrite(&["a"], 4, 4), sync_all(), sync_all()];
        play_in(is_bucket, true, &steps);
    }
}

#[test]
fn a_rerun_under_the_same_names_that_rows_hold_back_is_not_marked_as_complete() {
    let (events, names) = (vec!["a"], Names::Same);
    let rerun = Change::Rewrite { cloud: 0, day: DAY, events, count: 4, size: 40, rows: 4, names };
    for is_bucket in [false, true] {
        play_in(is_bucket, true, &[add("a", 4), mark(), sync_all(), Step::Source(rerun.clone()), sync_all()]);
    }
}

#[test]
fn what_a_held_rerun_brought_is_removed_though_a_published_object_is_not_as_it_was() {
    let same =
        Change::Rewrite { cloud: 0, day: DAY, events: vec!["a", "b"], count: 4, size: 40, rows: 4, names: Names::Same };
    play_in(true, true, &[add("a", 4), mark(), sync_all(), Step::Source(same), sync_all()]);
    play_in(true, true, &[add("a", 4), mark(), sync_all(), harm(0, Harm::Rot), rewrite(&["a"], 4, 4), sync_all()]);
}

#[test]
fn a_refused_day_does_not_keep_others_from_counting_as_complete_by_time() {
    let refused = Step::Source(Change::Refuse { day: 0, how: Some(Refusal::Listing) });
    play_everywhere(&[add_to(0, 0, "a", 2), add_to(0, 1, "a", 2), refused, sync_all()]);
}

#[test]
fn a_lost_manifest_costs_no_object() {
    let begin = [add("a", 2), add("b", 2), add("c", 2), mark(), sync_all(), Step::LoseManifest { day: DAY }];
    play_everywhere(&[&begin[..], &[sync(Wanted::events("a"))]].concat());
    play_everywhere(&[&begin[..], &[lose(&[0, 3]), sync_all()]].concat());
}

#[test]
fn one_days_trouble_is_one_days() {
    let troubles = [
        Step::Foreign { day: 1, name: ".DS_Store" },
        Step::Foreign { day: 1, name: "event=a/notes.txt" },
        Step::Source(Change::Refuse { day: 1, how: Some(Refusal::Listing) }),
        Step::Source(Change::Refuse { day: 1, how: Some(Refusal::Objects) }),
        Step::Source(Change::Refuse { day: 1, how: Some(Refusal::Key) }),
    ];
    for trouble in troubles {
        let steps = [three_days(), vec![trouble, sync_all(), add_to(0, 0, "c", 1), sync_all()]].concat();
        play_everywhere(&steps);
    }
    let lost = [sync_all(), Step::LoseManifest { day: 1 }, add_to(0, 0, "c", 1), sync_all()];
    play_everywhere(&[&three_days()[..], &lost].concat());
}

#[test]
fn two_runs_that_begin_together_publish_every_day() {
    for seed in 0..20_u64 {
        let together = Step::Together(ask(Wanted::All), ask(Wanted::All), seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        play_everywhere(&[three_days(), vec![together]].concat());
    }
}

#[test]
fn a_killed_run_and_a_copy_of_the_mirror_lose_nothing() {
    for moment in 0..MOMENTS {
        for kill in [Kill::AtRequest(moment), Kill::AtEvent(moment)] {
            let killed = Step::Sync(ask(Wanted::All), Some(Incident::Kill(kill)));
            let rewriting = [rewrite(&["a", "b"], 3, 40), add_to(0, 1, "c", 1), killed, Step::Copy, sync_all()];
            play_everywhere(&[three_days(), vec![sync_all()], rewriting.to_vec()].concat());
        }
    }
}

#[test]
fn a_run_killed_at_any_request_to_the_bucket_is_ended_by_the_next() {
    for number in 0..WRITES {
        for kill in [Kill::BeforeWrite(number), Kill::AfterWrite(number)] {
            let killed = Step::Sync(ask(Wanted::All), Some(Incident::Kill(kill)));
            let begin = [add("a", 3), add("b", 2), mark(), sync_all()];
            let rewriting = [rewrite(&["a"], 3, 40), lose(&[3]), add("c", 1), killed, sync_all()];
            play_in(true, false, &[&begin[..], &rewriting].concat());
        }
    }
}
