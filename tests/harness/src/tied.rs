//! A server that ends with the process that started it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::paths::root;

/// A server run by the script `tied`: dropping this, or dying, ends it and removes its folder.
///
/// A `static` is never dropped, but its pipe closes with the process all the same.
pub(crate) struct Tied {
    wrapper: Child,
    pipe: Option<ChildStdin>,
}

impl Tied {
    /// Starts `command`; `signal` ends it, and then `folder` is removed. What it says goes to `output`.
    pub(crate) fn start(
        signal: &str,
        folder: &Path,
        command: impl IntoIterator<Item: AsRef<OsStr>>,
        output: &Path,
    ) -> Self {
        let log = std::fs::File::create(output)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", output.display()));
        let script: PathBuf = root().join("tests/harness/tied");
        let mut wrapper = Command::new(&script)
            .arg(signal)
            .arg(folder)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file just opened"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", script.display()));
        let pipe = wrapper.stdin.take();
        Self { wrapper, pipe }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // An error would mean that it has been waited for, so it is gone.
        let _ = self.wrapper.wait();
    }
}
