//! The pages in `docs/engines` run as they stand, but for places and days: against a simulated export, by the
//! engine itself or with what it tells its tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use e3sync::simulator::Operation;
use serde_json::Value;

use crate::harness::{E3sync, Export, TODAY, assert_tree_is, java, output_of, python};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines");

/// A simulated export and a mirror that pages are pointed at.
struct Stage {
    export: Export,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(days: u32, objects_per_day: u32) -> Self {
        let latency = std::time::Duration::from_millis(20);
        let export = Export::of_noise_with(days, objects_per_day, |settings| settings.latency = Some(latency));
        Self { export, folder: tempfile::tempdir().unwrap() }
    }

    fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    /// A page with this export's days and mirror in place of the ones that it names.
    fn page(&self, name: &str) -> PathBuf {
        let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
        let (dates, mirror) = (self.export.dates(), self.mirror());
        let (first, last) = (dates.first().unwrap().to_string(), dates.last().unwrap().to_string());
        let text = text.replace("2026-01-01", &first).replace("2026-03-31", &last);
        let mirror = mirror.to_str().unwrap();
        let text = ["s3://my-lake/optimizely", "gs://my-lake/optimizely", "/lustre/shared/events"]
            .iter()
            .fold(text, |text, address| text.replace(address, mirror));
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Points a program at the export, with the binary on its path.
    fn point<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let folder = Path::new(env!("CARGO_BIN_EXE_e3sync")).parent().unwrap();
        let path = std::env::join_paths([folder, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        let simulator = self.export.simulator();
        let home = self.folder.path();
        command.env_clear().env("PATH", path).env("HOME", home).current_dir(home).env("E3SYNC_TODAY", TODAY);
        command.env("E3SYNC_API_URL", simulator.url()).env("E3SYNC_SOURCE_ENDPOINT_URL", simulator.url());
        command.env("E3SYNC_SOURCE", crate::harness::CLOUD.name()).env("OPTIMIZELY_API_TOKEN", simulator.token())
    }

    /// Fails the test unless the mirror is the export, whole and in order, and no object came twice.
    #[track_caller]
    fn assert_mirrored_once(&self) {
        assert_eq!(self.surplus(), 0, "no object is fetched twice");
        self.assert_mirrored();
    }

    #[track_caller]
    fn assert_mirrored(&self) {
        assert_tree_is(&self.export, &self.mirror());
        E3sync::new("verify").arg(self.mirror()).run().expect(0);
    }

    /// How often objects were fetched beyond once each.
    fn surplus(&self) -> u64 {
        let objects = self.export.objects().into_iter().filter(|(path, _)| !path.ends_with("/_SUCCESS")).count() as u64;
        self.export.simulator().requests().of(Operation::Get) - objects
    }

    /// What `status` says of the group of runs that this one belongs to.
    fn group(&self) -> Value {
        let status = E3sync::new("status").arg(self.mirror()).args(["--json", "--today", TODAY]).run().expect(0);
        status.json().into_iter().find(|document| document["event"] == "group").expect("a group")
    }
}

#[track_caller]
fn succeed(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

/// Runs all tasks of a job at once, each with what its engine tells it.
fn tasks_share_the_days(page: &str, group: &str) {
    let Some(python) = python() else { return };
    let stage = Stage::new(6, 2);
    let tasks = output_of(python.script("engines.py").arg("tasks").arg(stage.page(page)));
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    let words = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let command = words(&tasks["command"]);
    assert_eq!(command[..2], ["e3sync", "sync"]);
    let told: Vec<BTreeMap<String, String>> = serde_json::from_value(tasks["told"].clone()).unwrap();
    assert_eq!(told.len(), 8);
    let start = |variables: &BTreeMap<String, String>| {
        // Where the page names a file for the token, the variable of these tests stands in.
        let variables = variables.iter().filter(|(name, _)| *name != "E3SYNC_TOKEN_FILE");
        let mut call = Command::new(&command[0]);
        stage.point(&mut call).args(&command[1..]).envs(variables).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let running: Vec<_> = told.iter().map(|variables| start(variables).unwrap()).collect();
    for task in running {
        succeed(&task.wait_with_output().unwrap());
    }
    stage.assert_mirrored_once();
    let found = stage.group();
    assert_eq!((&found["group"], found["workers"].as_array().unwrap().len()), (&group.into(), 8));
    assert_eq!(found["partitions"]["published"], 12);
}

#[test]
fn pods_of_an_indexed_job_share_the_days() {
    tasks_share_the_days("kubernetes.yaml", "e3sync-backfill");
}

#[test]
fn tasks_of_a_cloud_run_job_share_the_days() {
    tasks_share_the_days("cloud_run.yaml", "e3sync-backfill-x7k2p");
}

#[test]
fn children_of_an_array_job_of_aws_batch_share_the_days() {
    tasks_share_the_days("aws_batch.sh", "b7a4f3c2-0000-4000-8000-000000000001");
}

#[test]
fn jobs_of_a_slurm_array_share_the_days() {
    let stage = Stage::new(6, 2);
    let page = stage.page("slurm.sh");
    // Numbers that begin anywhere and have steps.
    let start = |task: u32| {
        let mut call = Command::new("bash");
        let call = stage.point(&mut call).arg(&page).env("E3SYNC_TOKEN_FILE", "").env("SLURM_ARRAY_JOB_ID", "4711");
        let numbers = [("ID", 5 + 3 * task), ("MIN", 5), ("MAX", 14), ("STEP", 3), ("COUNT", 4)];
        let numbers = numbers.map(|(name, number)| (format!("SLURM_ARRAY_TASK_{name}"), number.to_string()));
        let token = stage.folder.path().join(".optimizely-token");
        std::fs::write(token, stage.export.simulator().token()).unwrap();
        call.envs(numbers).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..4).map(start).collect();
    for job in running {
        succeed(&job.wait_with_output().unwrap());
    }
    stage.assert_mirrored_once();
    assert_eq!(stage.group()["group"], "4711");
}

#[test]
fn a_slurm_job_that_is_to_be_run_again_requeues_itself() {
    let stage = Stage::new(1, 1);
    stage.export.inject("exchange:status=503 times=always");
    let page = stage.page("slurm.sh");
    let requeue = stage.folder.path().join("scontrol");
    std::fs::write(&requeue, "#!/bin/sh\necho \"$@\" > requeued\n").unwrap();
    std::fs::set_permissions(&requeue, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut call = Command::new("bash");
    let call = stage.point(&mut call).arg(&page).envs([("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_ARRAY_TASK_COUNT", "1")]);
    let path = format!("{}:{}", stage.folder.path().display(), call_path(call));
    let call = call.envs([("SLURM_JOB_ID", "99"), ("E3SYNC_OUTAGE", "1s"), ("PATH", path.as_str())]);
    std::fs::write(stage.folder.path().join(".optimizely-token"), stage.export.simulator().token()).unwrap();
    assert_eq!(call.output().unwrap().status.code(), Some(75));
    assert_eq!(std::fs::read_to_string(stage.folder.path().join("requeued")).unwrap(), "requeue 99\n");
}

fn call_path(call: &Command) -> String {
    let path = call.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn processes_that_xargs_starts_share_the_days() {
    let stage = Stage::new(20, 2);
    let mut call = Command::new("sh");
    let call = stage.point(&mut call).arg(stage.page("xargs.sh")).arg(stage.mirror()).args(["--last", "20d"]);
    succeed(&call.env("E3SYNC_GROUP", "xargs").output().unwrap());
    stage.assert_mirrored_once();
    assert_eq!(stage.group()["workers"].as_array().unwrap().len(), 4, "three of up to sixteen days, and the last");
}

#[test]
fn mapped_tasks_of_airflow_share_the_days() {
    let Some(python) = python() else { return };
    let stage = Stage::new(6, 2);
    let mut call = python.script("engines.py");
    succeed(&stage.point(call.arg("airflow").arg(stage.page("airflow.py"))).output().unwrap());
    stage.assert_mirrored_once();
    assert_eq!(stage.group()["workers"].as_array().unwrap().len(), 9, "eight shares and the verdict");
}

#[test]
fn a_dask_cluster_that_loses_a_worker_brings_every_day() {
    let Some(python) = python() else { return };
    let stage = Stage::new(12, 6);
    let dates = stage.export.dates();
    let days = [dates.first().unwrap().to_string(), dates.last().unwrap().to_string()];
    let mut call = python.script("engines.py");
    let call = call.arg("dask").arg(stage.page("sync_on_dask.py")).arg(stage.mirror());
    let output = stage.point(call.args(["--from", &days[0], "--to", &days[1]])).output().unwrap();
    succeed(&output);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(messages.contains("killed worker"), "{messages}");
    stage.assert_mirrored();
    // What the lost worker had in flight: two days of six objects.
    assert!(stage.surplus() <= 12, "{} objects were fetched twice", stage.surplus());
}

/// Needs a minute and a gigabyte; run it with
/// `cargo test --all-features --test suite -- --ignored a_spark_cluster`.
#[test]
#[ignore = "needs a minute and a gigabyte"]
fn a_spark_cluster_that_loses_an_executor_brings_every_day() {
    let Some(python) = python() else { return };
    if !java() {
        return;
    }
    let stage = Stage::new(40, 10);
    let dates = stage.export.dates();
    let days = [dates.first().unwrap().to_string(), dates.last().unwrap().to_string()];
    let mut call = Command::new(python.program("spark-submit"));
    let call = stage.point(&mut call).env("PYSPARK_PYTHON", python.program("python"));
    let java_home = std::env::var_os("JAVA_HOME");
    let call = call.envs(java_home.map(|home| ("JAVA_HOME", home)));
    // A cluster of two executors as processes of their own; the name of the binary tells what runs in them.
    let call = call.args(["--master", "local-cluster[2,1,512]", "--conf", "spark.speculation=true"]);
    let call = call.args(["--conf", "spark.executor.memory=512m", "--files", env!("CARGO_BIN_EXE_e3sync")]);
    let call = call.env("SPARK_LOCAL_IP", "127.0.0.1").arg(stage.page("sync_on_spark.py")).arg(stage.mirror());
    let call = call.args(["--from", &days[0], "--to", &days[1]]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spark = call.spawn().unwrap();
    stage.export.wait_until("an executor transfers", |simulator| simulator.requests().of(Operation::Get) >= 30);
    kill_an_executor(spark.id());
    let output = spark.wait_with_output().unwrap();
    succeed(&output);
    stage.assert_mirrored();
    let surplus = stage.surplus();
    assert!(surplus <= 2 * 10, "{surplus} objects were fetched twice");
}

/// Kills a process in which Spark's driver runs tasks, and whatever those have started.
fn kill_an_executor(driver: u32) {
    let executor = children_of(driver)
        .into_iter()
        .find(|child| command_line(*child).contains("CoarseGrainedExecutorBackend"))
        .expect("an executor");
    let mut lost = vec![executor];
    let mut next = 0;
    while next < lost.len() {
        lost.extend(children_of(lost[next]));
        next += 1;
    }
    assert!(lost.iter().any(|process| command_line(*process).contains("--units")), "it runs no task");
    for process in lost {
        let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

fn command_line(process: u32) -> String {
    let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}
