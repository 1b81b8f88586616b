//! Runs that shared the days of an export, as one (design.md section 7).

use super::{Run, RunBytes, RunObjects, RunPartitions, RunRequests};

/// Runs of one group, or a single run that belongs to none.
#[derive(Clone, Debug)]
pub struct RunGroup {
    /// What they did together. Of what all of them look at, such as days that the source has not completed, the
    /// numbers are those of the run that saw most; a day has failed if it did for each of them.
    pub total: Run,
    /// The runs, the slowest first.
    pub workers: Vec<Run>,
}

impl RunGroup {
    fn of(first: Run) -> Self {
        Self { total: first.clone(), workers: vec![first] }
    }

    fn add_up(&mut self) {
        self.workers.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        if self.is_shared() {
            self.total = added_up(&self.total, &self.workers);
        }
    }

    /// Whether several runs shared the days.
    pub fn is_shared(&self) -> bool {
        self.workers.len() > 1
    }
}

/// The runs by the groups that they name, the group with the newest run first.
pub fn grouped(runs: &[Run]) -> Vec<RunGroup> {
    let mut groups: Vec<RunGroup> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| run.group.is_some() && group.total.group == run.group) {
            Some(group) => group.workers.push(run.clone()),
            None => groups.push(RunGroup::of(run.clone())),
        }
    }
    groups.iter_mut().for_each(RunGroup::add_up);
    groups
}

/// Several runs as one.
fn added_up(any: &Run, runs: &[Run]) -> Run {
    let last = runs.iter().max_by_key(|run| run.ended_at).unwrap_or(any);
    // A run ends with 0 when all days are there, whoever brought them.
    let told = runs.iter().find(|run| run.exit_code == 0).unwrap_or(last);
    let started_at = runs.iter().map(|run| run.started_at).min().unwrap_or(last.started_at);
    Run {
        started_at,
        seconds: last.ended_at.duration_since(started_at).as_secs_f64(),
        exit_code: told.exit_code,
        stopped_by: told.stopped_by.clone(),
        partitions: partitions_of(runs),
        objects: RunObjects {
            transferred: sum(runs, |run| run.objects.transferred),
            failed: sum(runs, |run| run.objects.failed),
        },
        bytes: RunBytes { transferred: sum(runs, |run| run.bytes.transferred) },
        requests: RunRequests {
            retries: sum(runs, |run| run.requests.retries),
            exchange: sum(runs, |run| run.requests.exchange),
        },
        credentials_renewed: sum(runs, |run| run.credentials_renewed),
        worker: None,
        days: Vec::new(),
        kept: Vec::new(),
        ..last.clone()
    }
}

fn partitions_of(runs: &[Run]) -> RunPartitions {
    let most = |number: fn(&RunPartitions) -> u64| runs.iter().map(|run| number(&run.partitions)).max().unwrap_or(0);
    let least = |number: fn(&RunPartitions) -> u64| runs.iter().map(|run| number(&run.partitions)).min().unwrap_or(0);
    RunPartitions {
        published: sum(runs, |run| run.partitions.published),
        published_by_others: 0,
        unchanged: least(|partitions| partitions.unchanged),
        waiting: most(|partitions| partitions.waiting),
        held: most(|partitions| partitions.held),
        expired: most(|partitions| partitions.expired),
        missing: most(|partitions| partitions.missing),
        empty: most(|partitions| partitions.empty),
        failed: least(|partitions| partitions.failed),
    }
}

/// A sum of what reports say, which anybody may have altered.
fn sum(runs: &[Run], number: impl Fn(&Run) -> u64) -> u64 {
    runs.iter().map(number).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, group: &str, minutes: (u32, u32), exit_code: u8, published: u64) -> Run {
        let report = format!(
            r#"{{"run":"{id}","group":{group},"started_at":"2026-11-20T10:{:02}:00Z","ended_at":"2026-11-20T10:{:02}:00Z",
            "exit_code":{exit_code},"seconds":{},"requests":{{"retries":2,"exchange":1}},
            "partitions":{{"published":{published},"waiting":1,"failed":{}}}}}"#,
            minutes.0,
            minutes.1,
            f64::from(minutes.1 - minutes.0) * 60.0,
            u64::from(exit_code == 3),
        );
        serde_json::from_str(&report).unwrap()
    }

    #[test]
    fn a_group_is_one_run_and_others_stay_themselves() {
        let runs = [
            run("e", "null", (50, 51), 0, 1),
            run("d", "\"nightly\"", (12, 20), 75, 3),
            run("c", "\"nightly\"", (10, 35), 0, 5),
            run("b", "\"nightly\"", (11, 15), 3, 2),
            run("a", "null", (0, 1), 4, 0),
        ];
        let groups = grouped(&runs);
        assert_eq!(groups.iter().map(|group| group.workers.len()).collect::<Vec<_>>(), [1, 3, 1]);
        assert_eq!((groups[0].total.id.as_str(), groups[2].total.exit_code), ("e", 4));
        let RunGroup { total, workers } = &groups[1];
        assert!(groups[1].is_shared() && !groups[0].is_shared());
        assert_eq!(workers.iter().map(|run| run.id.as_str()).collect::<String>(), "cdb", "the slowest first");
        assert_eq!((total.exit_code, total.seconds), (0, 1500.0), "one that saw all days is enough");
        assert_eq!((total.partitions.published, total.partitions.waiting, total.partitions.failed), (10, 1, 0));
        assert_eq!((total.requests.exchange, total.requests.retries), (3, 6));
        let failed = grouped(&[run("a", "\"g\"", (1, 2), 3, 1), run("b", "\"g\"", (1, 9), 75, 1)]);
        assert_eq!(failed[0].total.exit_code, 75, "the last word is that of the last");
    }

    #[test]
    fn numbers_that_no_report_should_have_do_not_overflow() {
        let endless = run("a", "\"g\"", (1, 2), 0, u64::MAX);
        assert_eq!(grouped(&[endless.clone(), endless])[0].total.partitions.published, u64::MAX);
    }
}
