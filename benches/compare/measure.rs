//! Running a process and asking the kernel what it took.

use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// In user mode and in the kernel.
    pub cpu_seconds: f64,
    pub elapsed_seconds: f64,
    /// The most that was resident at once.
    pub memory_bytes: f64,
}

impl Usage {
    pub fn memory_mib(&self) -> f64 {
        self.memory_bytes / f64::from(1 << 20)
    }

    /// Each number's own median.
    pub fn median(usages: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(usages.iter().map(number).collect());
        Self {
            cpu_seconds: of(|usage| usage.cpu_seconds),
            elapsed_seconds: of(|usage| usage.elapsed_seconds),
            memory_bytes: of(|usage| usage.memory_bytes),
        }
    }
}

/// The middle one, or the upper of two.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Runs a command that must succeed.
pub fn run(mut command: Command) -> Usage {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let ended = child.wait4().unwrap();
    assert!(ended.status.success(), "{command:?} failed: {}", ended.status);
    Usage {
        cpu_seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        elapsed_seconds: began.elapsed().as_secs_f64(),
        memory_bytes: ended.rusage.maxrss as f64,
    }
}
