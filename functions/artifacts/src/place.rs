//! Where a store lies: in a folder of this machine, or in a bucket.
//!
//! Invariant: on both, a name is given in one step to bytes that are whole.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::bucket::Bucket;
use crate::staging::{Finished, Upload};
use crate::{Error, parts};

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Folder(Arc<LocalFileSystem>),
    Bucket(Arc<Bucket>),
}

impl Place {
    /// What names are looked up in.
    pub(crate) fn storage(&self) -> &dyn ObjectStore {
        match self {
            Self::Folder(folder) => folder.as_ref(),
            Self::Bucket(bucket) => &bucket.storage,
        }
    }

    /// Where uploads wait on this machine.
    pub(crate) async fn staging(&self) -> Result<&LocalFileSystem, Error> {
        match self {
            Self::Folder(folder) => Ok(folder),
            Self::Bucket(bucket) => bucket.desk.storage().await,
        }
    }

    /// Gives a file that has waited its name, replacing what stood there. Returns whether the name is new.
    pub(crate) async fn publish(
        &self,
        file: Finished<'_>,
        size: u64,
        name: &Path,
    ) -> Result<bool, Error> {
        match self {
            Self::Folder(_) => file.publish(name).await,
            Self::Bucket(bucket) => bucket.publish(file, size, name).await,
        }
    }

    /// Gives bytes a name, replacing what stood there. Returns whether the name is new.
    pub(crate) async fn create(&self, name: &Path, bytes: Bytes) -> Result<bool, Error> {
        match self {
            Self::Folder(folder) => wait(folder, &bytes).await?.publish(name).await,
            Self::Bucket(bucket) => {
                let size = bytes.len() as u64;
                bucket.create(name, size, parts::of_bytes(bytes)).await
            }
        }
    }

    /// Puts bytes in the place of what stands at a name.
    pub(crate) async fn replace(&self, name: &Path, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => wait(folder, &bytes).await?.publish(name).await.map(drop),
            Self::Bucket(bucket) => {
                let size = bytes.len() as u64;
                bucket.replace(name, size, parts::of_bytes(bytes)).await
            }
        }
    }

    /// A file on this machine that holds the artifact with this digest, which stands at `name`.
    pub(crate) async fn local_file(&self, name: &Path, digest: &str) -> Result<PathBuf, Error> {
        match self {
            Self::Folder(folder) => folder
                .path_to_filesystem(name)
                .map_err(|error| Error::storage("locating", digest, error)),
            Self::Bucket(bucket) => bucket.local_file(name, digest).await,
        }
    }

    /// Sorts an error of the storage while `action` was done to `name`.
    pub(crate) fn failed(&self, action: &str, name: &str, source: object_store::Error) -> Error {
        match self {
            Self::Folder(_) => Error::storage(action, name, source),
            Self::Bucket(bucket) => bucket.failed(action, name, source),
        }
    }
}

/// Bytes as a file that waits for its name.
async fn wait<'a>(folder: &'a LocalFileSystem, bytes: &Bytes) -> Result<Finished<'a>, Error> {
    let mut upload = Upload::start(folder).await?;
    upload.write(bytes).await?;
    upload.finish(folder).await
}
