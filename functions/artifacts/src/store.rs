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
use object_store::{GetOptions, GetRange, ObjectStoreExt as _};
use sha2::{Digest, Sha256};
use url::Url;

use crate::Error;
use crate::bucket::Bucket;
use crate::place::Place;
use crate::staging::{self, Finished, Upload};

/// The folder of artifacts.
pub(crate) const FOLDER: &str = "sha256";

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
    pub(crate) place: Place,
}

/// A file that has arrived whole and is not there for others yet. Dropping it leaves nothing behind.
pub struct Staged<'a> {
    place: &'a Place,
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
    /// The errors of the storage.
    pub async fn publish(self) -> Result<Stored, Error> {
        let name = location(&self.digest)?;
        let created = self.place.publish(self.file, self.size, &name).await?;
        Ok(Stored {
            digest: self.digest,
            size: self.size,
            created,
        })
    }
}

impl Store {
    /// Opens the store at `url`. `file:///folder` is made where it is missing, and what killed processes left in it is swept.
    /// Of `s3://bucket/prefix` nothing is asked yet: [`Store::check`] does. Who may use the bucket is for the environment of
    /// this process to say.
    ///
    /// # Errors
    /// [`Error::Url`] where the address names no folder and no bucket, or the errors of the disk.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_in(url, &std::env::temp_dir().join("millrace-artifacts")).await
    }

    /// [`Store::open`], with the folder in which files wait on their way to a bucket, and stay for a while on their way
    /// from it. It is made when it is needed.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_in(url: &str, scratch: &FilePath) -> Result<Self, Error> {
        let environment = std::env::vars_os().filter_map(|(variable, value)| {
            Some((variable.into_string().ok()?, value.into_string().ok()?))
        });
        Self::open_with(url, scratch, environment).await
    }

    /// [`Store::open_in`], with the environment that says who may use the bucket.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(
        url: &str,
        scratch: &FilePath,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let reject = |reason: String| Error::Url {
            url: url.to_owned(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| {
            reject(format!(
                "{error}; write it as `file:///folder` or `s3://bucket/prefix`"
            ))
        })?;
        let place = match parsed.scheme() {
            "file" => {
                let root = parsed.to_file_path().map_err(|()| {
                    reject("it names no absolute folder on this machine".to_owned())
                })?;
                Place::Folder(Arc::new(open_folder(&root).await?))
            }
            "s3" => {
                let bucket = Bucket::new(&parsed, environment, scratch.to_owned());
                Place::Bucket(Arc::new(bucket.map_err(reject)?))
            }
            _ => {
                return Err(reject(
                    "only `file:///folder` and `s3://bucket/prefix` are known".to_owned(),
                ));
            }
        };
        Ok(Self { place })
    }

    /// Asks for the first artifact, which shows whether the store can be reached and used as it is configured.
    ///
    /// # Errors
    /// [`Error::Refused`] where something has to be changed first, or the errors of the storage.
    pub async fn check(&self) -> Result<(), Error> {
        let mut found = self.place.storage().list(Some(&Path::from(FOLDER)));
        found
            .try_next()
            .await
            .map_err(|error| self.place.failed("listing", FOLDER, error))?;
        Ok(())
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
        let staging = self.place.staging().await?;
        let mut upload = Upload::start(staging).await?;
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
            place: &self.place,
            file: upload.finish(staging).await?,
            digest,
            size,
        })
    }

    /// Stores bytes that are in memory anyway.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Stored, Error> {
        let (digest, size) = (digest_of(&bytes), bytes.len() as u64);
        let created = self.place.create(&location(&digest)?, bytes).await?;
        Ok(Stored {
            digest,
            size,
            created,
        })
    }

    /// Reads a whole artifact and checks it against its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], or the errors of the storage.
    pub async fn get_bytes(&self, digest: &str) -> Result<Bytes, Error> {
        let failed = |error| self.place.failed("reading", digest, error);
        let found = self.place.storage().get(&location(digest)?).await;
        let found = found.map_err(failed)?;
        let size = usize::try_from(found.meta.size).unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(size);
        let mut parts = found.into_stream();
        while let Some(part) = parts.try_next().await.map_err(failed)? {
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
    /// [`Error::NotFound`], or the errors of the storage.
    pub async fn reader(&self, digest: &str, range: Option<Range<u64>>) -> Result<Reader, Error> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = self
            .place
            .storage()
            .get_opts(&location(digest)?, options)
            .await
            .map_err(|error| self.place.failed("reading", digest, error))?;
        let (place, digest) = (self.place.clone(), digest.to_owned());
        Ok(found
            .into_stream()
            .map_err(move |error| place.failed("reading", &digest, error))
            .boxed())
    }

    /// A file on this machine that holds the artifact, or a copy of it that stays for an hour. It belongs to
    /// the store and must not be changed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`] where a copy was made of what is none, or the errors of the storage.
    pub async fn local_file(&self, digest: &str) -> Result<PathBuf, Error> {
        self.size(digest).await?;
        self.place.local_file(&location(digest)?, digest).await
    }

    /// Whether the artifact is there.
    ///
    /// # Errors
    /// The errors of the storage.
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
    /// [`Error::NotFound`], or the errors of the storage.
    pub async fn size(&self, digest: &str) -> Result<u64, Error> {
        let location = location(digest)?;
        let found = self.place.storage().head(&location).await;
        let found = found.map_err(|error| self.place.failed("looking for", digest, error))?;
        Ok(found.size)
    }

    /// All artifacts.
    ///
    /// # Errors
    /// The errors of the storage.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let folder = Path::from(FOLDER);
        let mut found = self.place.storage().list(Some(&folder));
        let mut listed = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| self.place.failed("listing", FOLDER, error))?;
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
    /// The errors of the storage.
    pub async fn delete(&self, digest: &str) -> Result<(), Error> {
        self.remove(&location(digest)?).await
    }

    pub(crate) async fn remove(&self, name: &Path) -> Result<(), Error> {
        let removed = self.place.storage().delete(name).await;
        match removed.map_err(|error| self.place.failed("removing", name.as_ref(), error)) {
            Err(Error::NotFound(_)) => Ok(()),
            removed => removed,
        }
    }
}

async fn open_folder(root: &FilePath) -> Result<LocalFileSystem, Error> {
    tokio::fs::create_dir_all(root)
        .await
        .map_err(|error| Error::file(&format!("making `{}`", root.display()), error))?;
    staging::sweep(root).await?;
    let storage = LocalFileSystem::new_with_prefix(root)
        .map_err(|error| Error::storage("opening", &root.display().to_string(), error))?;
    Ok(storage.with_fsync(true))
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
