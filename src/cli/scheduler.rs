//! What schedulers tell the tasks that they start: which task of how many one is, and which execution it
//! belongs to.

use e3sync::error::{Error, ErrorKind, Result};
use e3sync::plan::Shard;

use super::environment;

/// Names the number of tasks where the scheduler itself does not tell it.
const COUNT: &str = "E3SYNC_SHARD_COUNT";

/// The variables that tell which task this is, counted from 0, and of how many.
const TASKS: [(&str, &str); 5] = [
    ("E3SYNC_SHARD_INDEX", COUNT),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("JOB_COMPLETION_INDEX", COUNT),
    ("NOMAD_ALLOC_INDEX", COUNT),
];

/// The variables that tell which execution of a job a task belongs to.
const EXECUTIONS: [&str; 5] =
    ["CLOUD_RUN_EXECUTION", "AWS_BATCH_JOB_ID", "SLURM_ARRAY_JOB_ID", "NOMAD_JOB_ID", "AIRFLOW_CTX_DAG_RUN_ID"];

/// This task's share of the days.
///
/// # Errors
/// [`ErrorKind::Usage`] where no scheduler says which task this is, or of how many.
pub fn shard() -> Result<Shard> {
    let told = TASKS.into_iter().find_map(|(index, count)| Some((index, environment::variable(index)?, count)));
    if let Some((index, value, count)) = told {
        let number = number_in(index, &value)?;
        let named = [count, COUNT].into_iter().find_map(|name| Some((name, environment::variable(name)?)));
        let (name, value) = named.ok_or_else(|| {
            let what = format!("{index} says which task this is, and {count} does not say of how many");
            Error::new(ErrorKind::Usage, what).with_hint(format!("set {COUNT} to the number of tasks"))
        })?;
        let count = number_in(name, &value)?;
        return Shard::new(number, count).map_err(|error| error.within(format_args!("{index} and {name}")));
    }
    slurm_shard()?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "no variable says which task of how many this is").with_hint(format!(
            "--shard auto knows Cloud Run jobs, array jobs of AWS Batch and Slurm, indexed jobs of Kubernetes and \
             Nomad; anywhere else set E3SYNC_SHARD_INDEX and {COUNT}, or write --shard 3/8"
        ))
    })
}

/// The share of a task of a Slurm array, whose numbers may begin anywhere and have steps.
fn slurm_shard() -> Result<Option<Shard>> {
    let Some(id) = environment::variable("SLURM_ARRAY_TASK_ID") else { return Ok(None) };
    let other = |name: &str, usual: u32| match environment::variable(name) {
        Some(value) => number_in(name, &value),
        None => Ok(usual),
    };
    let id = number_in("SLURM_ARRAY_TASK_ID", &id)?;
    let first = other("SLURM_ARRAY_TASK_MIN", 0)?;
    let step = other("SLURM_ARRAY_TASK_STEP", 1)?.max(1);
    let count = match other("SLURM_ARRAY_TASK_COUNT", 0)? {
        0 => other(COUNT, 0)?,
        count => count,
    };
    let place = id.saturating_sub(first) / step;
    // Of a list as in --array=1,5,7 the numbers are no steps; any share serves then.
    Shard::new(if count == 0 { place } else { place % count }, count)
        .map(Some)
        .map_err(|error| error.within("SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"))
}

fn number_in(name: &str, value: &str) -> Result<u32> {
    value.trim().parse().map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{name} is `{}`, which is no number", e3sync::export::printable(value)))
            .with_hint("the scheduler sets it; elsewhere set E3SYNC_SHARD_INDEX and E3SYNC_SHARD_COUNT")
    })
}

/// The execution that this task belongs to, by which its report is added up with those of the others.
pub fn execution() -> Option<String> {
    let (name, id) = EXECUTIONS.into_iter().find_map(|name| Some((name, environment::variable(name)?)))?;
    // Each task of an array has its own number behind the job's.
    let is_array = name == "AWS_BATCH_JOB_ID" && environment::variable("AWS_BATCH_JOB_ARRAY_INDEX").is_some();
    Some(id.split_once(':').filter(|_| is_array).map_or_else(|| id.clone(), |(job, _)| job.to_owned()))
}
