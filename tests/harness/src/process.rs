//! A binary of the workspace as a child process, with what it said.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::paths::binary;
use crate::wait::block_until;

/// A running binary. Dropping it kills it.
///
/// Its standard input is a pipe which this value holds, as the local platform does for functions.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    /// Who collects the lines of each output, until its end.
    collectors: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts the workspace's binary `name`. The environment is this process's own, plus `environment`,
    /// less the `MILLRACE_` variables of whoever runs the tests.
    pub fn start<A, V>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self
    where
        A: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut command = Command::new(binary(name));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MILLRACE_") {
                command.env_remove(variable);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let collectors = [
            collect(child.stdout.take().expect("piped above"), &lines),
            collect(child.stderr.take().expect("piped above"), &lines),
        ];
        Self {
            name: name.into(),
            stdin: child.stdin.take(),
            child,
            lines,
            collectors,
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything said so far, both outputs together, in the order of arrival.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a line that contains `text`, said at any time since the start, and returns it.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> String {
        let what = format!("{} says {text:?}", self.name);
        block_until(&what, limit, || {
            // Asked before the lines are looked at, so that what it said last is not missed.
            let ended = self.ended();
            let lines = self.lines();
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            let said = lines.join("\n");
            if let Some(status) = ended {
                panic!(
                    "{} ended with {status} before it said {text:?}:\n{said}",
                    self.name
                );
            }
            Err(said)
        })
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the signal of this name.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Ends it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Closes its standard input, which tells a function that its parent is gone.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        block_until(&what, limit, || {
            self.ended().ok_or_else(|| self.lines().join("\n"))
        })
    }

    /// How it has ended, once all that it said was heard.
    fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("a child of ours");
        ended.filter(|_| self.collectors.iter().all(JoinHandle::is_finished))
    }

    /// Whether it still runs.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    })
}

/// Sends a signal by its name, such as `TERM`, to a process that this one started and has not waited for.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status()
        .expect("every system has kill");
    assert!(sent.success(), "cannot send SIG{name} to process {process}");
}

/// The last lines of a file, for an error report.
pub(crate) fn tail(file: &Path) -> String {
    let Ok(text) = std::fs::read_to_string(file) else {
        return String::new();
    };
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    format!("{}:\n{}\n", file.display(), last.join("\n"))
}
