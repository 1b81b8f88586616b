use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A server in a process of its own, which ends with the test.
pub struct Process {
    child: Child,
    log: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a server and reads its messages up to the first that `find` takes; the further ones
    /// go to `watch`. A server that ends before leaves what it said.
    pub fn start<T>(
        command: &mut Command,
        find: impl Fn(&str) -> Option<T>,
        watch: impl Fn(&str) + Send + 'static,
    ) -> Result<(Self, T), String> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        for line in lines.by_ref() {
            if let Some(found) = find(&line) {
                let log = std::thread::spawn(move || lines.for_each(|line| watch(&line)));
                return Ok((Self { child, log: Some(log) }, found));
            }
            said += &line;
            said.push('\n');
        }
        let _ = child.wait();
        Err(said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}
