//! A store that nobody else uses, in a folder or in a bucket, and a look behind it.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use millrace_artifacts::Store;
use millrace_harness::{S3, wait_until};
use tempfile::TempDir;

pub struct Ground {
    pub store: Store,
    /// Where the store lies, or where files wait for the bucket.
    pub folder: TempDir,
    /// Where the bucket lies.
    behind: Option<PathBuf>,
}

impl Ground {
    pub async fn folder() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            store: open(&folder.path().join("made for it")).await,
            folder,
            behind: None,
        }
    }

    pub async fn bucket() -> Self {
        let bucket = s3().bucket();
        let folder = TempDir::new().unwrap();
        let address = format!("s3://{bucket}/some/prefix");
        Self {
            store: open_bucket(&address, folder.path(), s3().environment()).await,
            folder,
            behind: Some(s3().folder(&bucket)),
        }
    }

    pub fn is_bucket(&self) -> bool {
        self.behind.is_some()
    }

    /// The bucket's name.
    pub fn name(&self) -> Option<String> {
        let name = self.behind.as_ref()?.file_name()?;
        Some(name.to_str()?.to_owned())
    }

    /// Where an artifact's bytes lie.
    pub fn file(&self, digest: &str) -> PathBuf {
        let prefix = match &self.behind {
            Some(bucket) => bucket.join("some/prefix"),
            None => self.folder.path().join("made for it"),
        };
        prefix.join("sha256").join(&digest[..2]).join(digest)
    }

    /// Every file that is there for others.
    pub fn stored(&self) -> Vec<String> {
        files(self.behind.as_deref().unwrap_or(self.folder.path()))
    }

    /// The same, and what waits or is a copy.
    pub fn files(&self) -> Vec<String> {
        let mut found = files(self.folder.path());
        found.extend(self.behind.iter().flat_map(|bucket| files(bucket)));
        found
    }

    /// Waits until there is no file: unlinking runs on a thread of its own.
    pub async fn until_empty(&self) {
        let limit = Duration::from_secs(10);
        wait_until("nothing is left", limit, async || match self.files() {
            left if left.is_empty() => Ok(()),
            left => Err(left.join("\n")),
        })
        .await;
    }
}

pub async fn open(folder: &Path) -> Store {
    Store::open(&format!("file://{}", folder.display()))
        .await
        .unwrap()
}

pub async fn open_bucket(
    address: &str,
    scratch: &Path,
    environment: Vec<(&'static str, String)>,
) -> Store {
    let environment = environment
        .into_iter()
        .map(|(variable, value)| (variable.to_owned(), value));
    Store::open_with(address, scratch, environment)
        .await
        .unwrap()
}

/// One for all tests of this process.
pub fn s3() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(S3::start)
}

/// Every file under `folder`.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}
