//! What a function said: the last lines in memory, and a file that outlives the API.
//!
//! Invariant: neither grows beyond its bound, whatever the function writes.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Lines kept in memory.
const LINES: usize = 1000;
/// Bytes of one line; the rest of a longer one is left out.
const LINE_BYTES: usize = 4096;
/// Bytes of the file, and of the older one beside it.
const FILE_BYTES: u64 = 1 << 20;

/// The log of one replica.
pub(in crate::platform) struct Log {
    inner: Mutex<Inner>,
}

struct Inner {
    path: PathBuf,
    lines: VecDeque<String>,
    /// None where the file could not be opened or written: the lines in memory go on.
    file: Option<File>,
    written: u64,
}

impl Log {
    /// The log in this file, with what an earlier API left there.
    pub(in crate::platform) fn open(path: PathBuf) -> Self {
        let earlier = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&earlier);
        let mut lines: VecDeque<String> =
            text.lines().rev().take(LINES).map(str::to_owned).collect();
        lines.make_contiguous().reverse();
        let file = report(&path, append(&path));
        Self {
            inner: Mutex::new(Inner {
                lines,
                file,
                written: earlier.len() as u64,
                path,
            }),
        }
    }

    /// Adds one line.
    pub(super) fn push(&self, line: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.lines.len() == LINES {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line.to_owned());
        inner.write(line);
    }

    /// The last lines, oldest first.
    pub(in crate::platform) fn last(&self, count: usize) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = inner.lines.len().saturating_sub(count);
        inner.lines.iter().skip(skipped).cloned().collect()
    }

    /// Adds everything that `output` says, until its end.
    pub(in crate::platform) async fn follow(&self, mut output: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8192];
        let mut line = Vec::new();
        loop {
            let read = match output.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            for &byte in &buffer[..read] {
                if byte == b'\n' {
                    self.push(&String::from_utf8_lossy(&line));
                    line.clear();
                } else if line.len() < LINE_BYTES {
                    line.push(byte);
                }
            }
        }
        if !line.is_empty() {
            self.push(&String::from_utf8_lossy(&line));
        }
    }

    /// Removes the files of the log at `path`.
    pub(super) fn remove(path: &Path) {
        for path in [path, &older(path)] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove a function's log");
            }
        }
    }
}

impl Inner {
    fn write(&mut self, line: &str) {
        let bytes = line.len() as u64 + 1;
        if self.written + bytes > FILE_BYTES {
            let begun_anew =
                fs::rename(&self.path, older(&self.path)).and_then(|()| append(&self.path));
            self.file = report(&self.path, begun_anew);
            self.written = 0;
        }
        if let Some(file) = &mut self.file {
            if let Err(error) = writeln!(file, "{line}") {
                report::<File>(&self.path, Err(error));
                self.file = None;
            }
            self.written += bytes;
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn older(path: &Path) -> PathBuf {
    path.with_added_extension("1")
}

fn report<T>(path: &Path, result: io::Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "a function's log is kept in memory only");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[tokio::test]
    async fn a_talkative_function_fills_neither_memory_nor_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.log");
        let log = Log::open(path.clone());
        let endless = "x".repeat(10 * LINE_BYTES);
        log.follow(format!("{endless}\n").repeat(2000).as_bytes())
            .await;
        log.follow("the end\nand no newline".as_bytes()).await;

        let lines = log.last(usize::MAX);
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES));
        assert_eq!(log.last(2), ["the end", "and no newline"]);
        for path in [&path, &older(&path)] {
            let size = fs::metadata(path).unwrap().len();
            assert!(size <= FILE_BYTES, "{size} bytes in {}", path.display());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

        Log::remove(&path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_an_earlier_api_left_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.log");
        Log::open(path.clone()).push("first");
        let log = Log::open(path);
        log.push("second");
        assert_eq!(log.last(10), ["first", "second"]);
    }
}
