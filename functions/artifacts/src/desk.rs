//! The folder of this machine in which a store that lies in a bucket works: files wait here until they are whole, and
//! what was needed as a file stays for a while.
//!
//! Invariant: the folder is a cache. It is made when it is needed first, several processes share one, what is taken from it
//! is checked against its name each time, and what nobody asked for within an hour is removed.

use std::io::{self, Read as _};
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::Error;
use crate::staging::{self, Finished};

/// How long a file stays that nobody asks for.
const KEPT: Duration = Duration::from_hours(1);

/// What is read of a file at once.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Desk {
    root: PathBuf,
    storage: OnceCell<LocalFileSystem>,
}

impl Desk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            storage: OnceCell::new(),
        }
    }

    /// The folder, for uploads that wait.
    pub(crate) async fn storage(&self) -> Result<&LocalFileSystem, Error> {
        self.storage
            .get_or_try_init(async || {
                let made = LocalFileSystem::new_with_prefix(make(&self.root).await?);
                let storage = made.map_err(|error| {
                    Error::storage("opening", &self.root.display().to_string(), error)
                })?;
                staging::sweep(&self.root).await?;
                sweep(&storage).await;
                Ok(storage)
            })
            .await
    }

    /// The file with this digest, at `name`, where it is here and is what it should be.
    pub(crate) async fn find(&self, name: &Path, digest: &str) -> Result<Option<PathBuf>, Error> {
        let storage = self.storage().await?;
        let path = storage
            .path_to_filesystem(name)
            .map_err(|error| Error::storage("locating", digest, error))?;
        let digest = digest.to_owned();
        let found =
            tokio::task::spawn_blocking(move || (use_file(&path).ok()? == digest).then_some(path));
        found
            .await
            .map_err(|error| Error::file("looking at a cached file", error.into()))
    }

    /// Keeps a file whose digest is right, at `name`, and returns where.
    pub(crate) async fn keep(&self, file: Finished<'_>, name: &Path) -> Result<PathBuf, Error> {
        let storage = self.storage().await?;
        file.publish(name).await?;
        sweep(storage).await;
        storage
            .path_to_filesystem(name)
            .map_err(|error| Error::storage("locating", name.as_ref(), error))
    }
}

/// Makes the folder for this process's user alone, where it is not there.
async fn make(root: &FilePath) -> Result<&FilePath, Error> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder
        .create(root)
        .await
        .map_err(|error| Error::file(&format!("making `{}`", root.display()), error))?;
    Ok(root)
}

/// The digest of a file, which from now on counts as used.
fn use_file(path: &FilePath) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    // Of somebody else's file the time can't be set: it goes earlier.
    drop(file.set_modified(SystemTime::now()));
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}

/// Removes what nobody has asked for in a while. What can't be removed stays for the next time.
async fn sweep(storage: &LocalFileSystem) {
    let folder = Path::from(crate::store::FOLDER);
    let mut files = storage.list(Some(&folder));
    let now = SystemTime::now();
    while let Some(file) = files.next().await {
        let Ok(file) = file else { continue };
        let used = SystemTime::from(file.last_modified);
        if now.duration_since(used).is_ok_and(|age| age > KEPT) {
            drop(storage.delete(&file.location).await);
        }
    }
}
