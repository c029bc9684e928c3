//! One private broker as a process. Dropping it kills it; so does the end of this process, since the
//! script watches the pipe that is its standard input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::program;
use crate::process::{signal, tail};

pub(super) struct Broker {
    folder: PathBuf,
    port: u16,
    format_arguments: Vec<String>,
    /// A folder of classes of the broker's own.
    classes: Option<PathBuf>,
    child: Option<Child>,
}

impl Broker {
    pub(super) fn new(
        folder: &Path,
        port: u16,
        properties: &str,
        format_arguments: Vec<String>,
        classes: Option<PathBuf>,
    ) -> Self {
        fs::write(folder.join("extra.properties"), properties).expect("a folder of our own");
        Self {
            folder: folder.to_path_buf(),
            port,
            format_arguments,
            classes,
            child: None,
        }
    }

    pub(super) fn start(&mut self) {
        assert!(self.child.is_none(), "the broker runs already");
        let output = fs::File::create(self.output()).expect("a folder of our own");
        let child = Command::new(program())
            .arg(self.folder.join("data"))
            .arg(self.port.to_string())
            .arg(self.folder.join("extra.properties"))
            .args(&self.format_arguments)
            .envs(
                self.classes
                    .iter()
                    .map(|classes| ("MILLRACE_KAFKA_CLASSES", classes)),
            )
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a file just opened"))
            .stderr(output)
            .spawn()
            .expect("the broker's script can be run");
        self.child = Some(child);
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM");
            // The pipe stays open meanwhile: wait() would close it first, and so kill the broker.
            let pipe = child.stdin.take();
            child.wait().expect("a child of ours");
            drop(pipe);
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// An error with what it said last, where the broker has ended by itself.
    pub(super) fn running(&mut self) -> Result<(), String> {
        let child = self.child.as_mut().ok_or("the broker was stopped")?;
        match child.try_wait().expect("a child of ours") {
            None => Ok(()),
            Some(status) => Err(format!(
                "the broker ended with {status}:\n{}{}",
                tail(&self.output()),
                tail(&self.folder.join("data/broker.log"))
            )),
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.join("output.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
