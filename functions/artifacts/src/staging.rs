//! Where bytes wait until they are whole.
//!
//! An upload owns one name under `staging/` until it is published. Dropping it,
//! at any point, removes what was written.

use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use uuid::Uuid;

use crate::Error;

/// The folder of unfinished uploads.
const FOLDER: &str = "staging";

/// Bytes collected before they are handed to the storage, since each hand-over
/// costs a hop to a blocking thread.
const PART: usize = 1 << 20;

/// An upload nobody has written to for this long belongs to a process that died.
const ABANDONED: Duration = Duration::from_hours(1);

/// One unfinished upload.
pub(crate) struct Upload {
    name: Path,
    storage: Box<dyn MultipartUpload>,
    buffer: BytesMut,
}

impl Upload {
    pub(crate) async fn start(storage: &LocalFileSystem) -> Result<Self, Error> {
        let name = Path::from_iter([FOLDER, &Uuid::now_v7().to_string()]);
        let upload = storage
            .put_multipart(&name)
            .await
            .map_err(|error| Error::storage("starting", name.as_ref(), error))?;
        Ok(Self {
            name,
            storage: upload,
            buffer: BytesMut::new(),
        })
    }

    pub(crate) async fn write(&mut self, bytes: &Bytes) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let part = PutPayload::from_bytes(self.buffer.split().freeze());
        self.storage
            .put_part(part)
            .await
            .map_err(|error| Error::storage("writing", self.name.as_ref(), error))
    }

    /// Makes a file of what has arrived.
    pub(crate) async fn finish(mut self, storage: &LocalFileSystem) -> Result<Finished<'_>, Error> {
        self.flush().await?;
        self.storage
            .complete()
            .await
            .map_err(|error| Error::storage("finishing", self.name.as_ref(), error))?;
        let path = storage
            .path_to_filesystem(&self.name)
            .map_err(|error| Error::storage("locating", self.name.as_ref(), error))?;
        Ok(Finished {
            storage,
            name: self.name,
            path,
        })
    }
}

/// A whole file that has no name of its own yet; what is left of it when it is dropped is removed.
pub(crate) struct Finished<'a> {
    storage: &'a LocalFileSystem,
    name: Path,
    path: PathBuf,
}

impl Finished<'_> {
    /// Where its bytes stand.
    pub(crate) fn path(&self) -> &FilePath {
        &self.path
    }

    /// Gives the file its name, replacing what stood there. Returns whether the name is new.
    pub(crate) async fn publish(self, name: &Path) -> Result<bool, Error> {
        let failed = |error| Error::storage("publishing", name.as_ref(), error);
        // Of several uploads of one file exactly one is told that it made it.
        match self.storage.rename_if_not_exists(&self.name, name).await {
            Ok(()) => Ok(true),
            // What stands there may have been damaged since: these bytes are known to be right.
            Err(object_store::Error::AlreadyExists { .. }) => {
                self.storage
                    .rename(&self.name, name)
                    .await
                    .map_err(failed)?;
                Ok(false)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        // One unlink: not worth a thread, and there may be no runtime left to give one. A published file is not there
        // any more.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Removes what killed processes left behind in the store at `root`.
pub(crate) async fn sweep(root: &FilePath) -> Result<(), Error> {
    let action = "sweeping abandoned uploads";
    let mut entries = match tokio::fs::read_dir(root.join(FOLDER)).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file(action, error)),
    };
    let now = SystemTime::now();
    while let Some(entry) = entries
        .next_entry()
        .await
        .map_err(|error| Error::file(action, error))?
    {
        // Another process may be sweeping, or publishing, the same file: what is gone is gone.
        let Ok(written) = entry.metadata().await.and_then(|data| data.modified()) else {
            continue;
        };
        if now.duration_since(written).is_ok_and(|age| age > ABANDONED) {
            match tokio::fs::remove_file(entry.path()).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(action, error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
