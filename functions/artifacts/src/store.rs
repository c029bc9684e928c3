//! The store and its content-addressed artifacts.

use std::error::Error as StdError;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use url::Url;

use crate::Error;
use crate::staging::{self, Finished, Upload};

/// The folder of artifacts.
const FOLDER: &str = "sha256";

/// The bytes of an artifact, or of a part of it, in order.
pub type Reader = BoxStream<'static, Result<Bytes, Error>>;

/// What [`Store::put`] made of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The artifact's name: the SHA-256 of its bytes in lower-case hexadecimal.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// False where the same bytes were there already.
    pub created: bool,
}

/// An artifact as [`Store::list`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub digest: String,
    /// When it was last put there.
    pub modified: SystemTime,
}

/// An opened artifact store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) storage: Arc<LocalFileSystem>,
}

/// A file that has arrived whole and is not there for others yet. Dropping it leaves nothing behind.
pub struct Staged<'a> {
    file: Finished<'a>,
    digest: String,
    size: u64,
}

impl Staged<'_> {
    /// Where its bytes stand.
    #[must_use]
    pub fn path(&self) -> &FilePath {
        self.file.path()
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// The errors of the disk.
    pub async fn publish(self) -> Result<Stored, Error> {
        let created = self.file.publish(&location(&self.digest)?).await?;
        Ok(Stored {
            digest: self.digest,
            size: self.size,
            created,
        })
    }
}

impl Store {
    /// Opens the store at `url`, `file:///folder` (made where it is missing),
    /// and sweeps what killed processes left in it.
    ///
    /// # Errors
    /// [`Error::Url`] where the address names no folder, or the errors of the disk.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let reject = |reason: &str| Error::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let parsed = Url::parse(url)
            .map_err(|error| reject(&format!("{error}; write it as `file:///folder`")))?;
        if parsed.scheme() != "file" {
            return Err(reject("only `file:///folder` is known"));
        }
        let root = parsed
            .to_file_path()
            .map_err(|()| reject("it names no absolute folder on this machine"))?;
        tokio::fs::create_dir_all(&root)
            .await
            .map_err(|error| Error::file(&format!("making `{}`", root.display()), error))?;
        staging::sweep(&root).await?;
        let storage = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| reject(&error.to_string()))?
            .with_fsync(true);
        Ok(Self {
            storage: Arc::new(storage),
        })
    }

    /// Stores what `stream` yields, and nothing unless it ends, is at most
    /// `limit` bytes long and has the digest `expected`, where one is given.
    ///
    /// The file is never held whole in memory, and is not visible before it is
    /// whole. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Mismatch`], [`Error::TooLarge`] and [`Error::Source`] are the
    /// sender's fault, [`Error::DiskFull`] and [`Error::Storage`] the store's.
    pub async fn put<S, E>(
        &self,
        stream: S,
        expected: Option<&str>,
        limit: u64,
    ) -> Result<Stored, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.stage(stream, expected, limit).await?.publish().await
    }

    /// The first half of [`Store::put`], for who wants to look at the file before it is there for others.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn stage<S, E>(
        &self,
        stream: S,
        expected: Option<&str>,
        limit: u64,
    ) -> Result<Staged<'_>, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        if let Some(expected) = expected {
            location(expected)?;
        }
        let mut stream = std::pin::pin!(stream);
        let mut upload = Upload::start(&self.storage).await?;
        let mut hash = Sha256::new();
        let mut size = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| Error::Source(error.into()))?;
            size += bytes.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { limit });
            }
            hash.update(&bytes);
            upload.write(&bytes).await?;
        }
        let digest = hex::encode(hash.finalize());
        if let Some(expected) = expected
            && expected != digest
        {
            return Err(Error::Mismatch {
                expected: expected.to_owned(),
                found: digest,
            });
        }
        Ok(Staged {
            file: upload.finish(&self.storage).await?,
            digest,
            size,
        })
    }

    /// Stores bytes that are in memory anyway.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Stored, Error> {
        let limit = bytes.len() as u64;
        let stream = futures::stream::iter([Ok::<_, Error>(bytes)]);
        self.put(stream, None, limit).await
    }

    /// Reads a whole artifact and checks it against its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], or the errors of the disk.
    pub async fn get_bytes(&self, digest: &str) -> Result<Bytes, Error> {
        let size = usize::try_from(self.size(digest).await?).unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(size);
        let mut reader = self.reader(digest, None).await?;
        while let Some(part) = reader.try_next().await? {
            bytes.extend_from_slice(&part);
        }
        let found = digest_of(&bytes);
        if found != digest {
            return Err(Error::Corrupt {
                expected: digest.to_owned(),
                found,
            });
        }
        Ok(bytes.freeze())
    }

    /// Opens an artifact, or the bytes `range` of it, for reading in pieces;
    /// what is read is not checked.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the disk.
    pub async fn reader(&self, digest: &str, range: Option<Range<u64>>) -> Result<Reader, Error> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = self
            .storage
            .get_opts(&location(digest)?, options)
            .await
            .map_err(|error| Error::storage("reading", digest, error))?;
        let digest = digest.to_owned();
        Ok(found
            .into_stream()
            .map_err(move |error| Error::storage("reading", &digest, error))
            .boxed())
    }

    /// A file on this machine that holds the artifact. It belongs to the store
    /// and must not be changed.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the disk.
    pub async fn local_file(&self, digest: &str) -> Result<PathBuf, Error> {
        self.size(digest).await?;
        self.storage
            .path_to_filesystem(&location(digest)?)
            .map_err(|error| Error::storage("locating", digest, error))
    }

    /// Whether the artifact is there.
    ///
    /// # Errors
    /// The errors of the disk.
    pub async fn exists(&self, digest: &str) -> Result<bool, Error> {
        match self.size(digest).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The artifact's length in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the disk.
    pub async fn size(&self, digest: &str) -> Result<u64, Error> {
        let found = self
            .storage
            .head(&location(digest)?)
            .await
            .map_err(|error| Error::storage("looking for", digest, error))?;
        Ok(found.size)
    }

    /// All artifacts.
    ///
    /// # Errors
    /// The errors of the disk.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let folder = Path::from(FOLDER);
        let mut found = self.storage.list(Some(&folder));
        let mut listed = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| Error::storage("listing", FOLDER, error))?;
            // What somebody else left there is nobody's artifact.
            if let Some(name) = object.location.filename()
                && location(name).is_ok_and(|location| location == object.location)
            {
                listed.push(Listed {
                    digest: name.to_owned(),
                    modified: object.last_modified.into(),
                });
            }
        }
        Ok(listed)
    }

    /// Removes an artifact; one that is not there is no error.
    ///
    /// # Errors
    /// The errors of the disk.
    pub async fn delete(&self, digest: &str) -> Result<(), Error> {
        self.remove(&location(digest)?).await
    }

    pub(crate) async fn remove(&self, name: &Path) -> Result<(), Error> {
        match self.storage.delete(name).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::storage("removing", name.as_ref(), error)),
        }
    }
}

/// The SHA-256 of bytes as the store writes it: 64 lower-case hexadecimal digits.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Where an artifact lies. The first two digits are a folder of their own, so
/// that no folder grows too long for the tools that list it.
fn location(digest: &str) -> Result<Path, Error> {
    let is_digest = digest.len() == 64
        && digest
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return Err(Error::NotADigest(digest.to_owned()));
    }
    Ok(Path::from_iter([FOLDER, &digest[..2], digest]))
}
