//! Small named things that change: checkpoints and pointers.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore as _, ObjectStoreExt as _};

use crate::staging::Upload;
use crate::{Error, Store};

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// All of it.
    pub bytes: Bytes,
    /// What tells it from the object that takes its place, where the storage has such tags.
    pub tag: Option<String>,
}

impl Store {
    /// Replaces the object `name` as a whole: a reader finds the old bytes or
    /// the new ones.
    ///
    /// # Errors
    /// [`Error::NotAName`], [`Error::DiskFull`] (the old object stays), or the
    /// errors of the disk.
    pub async fn put_object(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let location = location(name)?;
        let mut upload = Upload::start(&self.storage).await?;
        upload.write(&bytes).await?;
        upload
            .finish(&self.storage)
            .await?
            .publish(&location)
            .await?;
        Ok(())
    }

    /// Reads the object `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the disk.
    pub async fn get_object(&self, name: &str) -> Result<Bytes, Error> {
        let found = self
            .storage
            .get(&location(name)?)
            .await
            .map_err(|error| Error::storage("reading", name, error))?;
        found
            .bytes()
            .await
            .map_err(|error| Error::storage("reading", name, error))
    }

    /// Reads the object `name`, unless it is still the one with this tag: then nothing is read, and
    /// nothing given back.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the disk.
    pub async fn get_changed_object(
        &self,
        name: &str,
        tag: Option<&str>,
    ) -> Result<Option<Tagged>, Error> {
        let options = GetOptions {
            if_none_match: tag.map(str::to_owned),
            ..GetOptions::default()
        };
        let found = match self.storage.get_opts(&location(name)?, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotModified { .. }) => return Ok(None),
            Err(error) => return Err(Error::storage("reading", name, error)),
        };
        let tag = found.meta.e_tag.clone();
        let bytes = found
            .bytes()
            .await
            .map_err(|error| Error::storage("reading", name, error))?;
        Ok(Some(Tagged { bytes, tag }))
    }

    /// Removes the object `name`; one that is not there is no error.
    ///
    /// # Errors
    /// The errors of the disk.
    pub async fn delete_object(&self, name: &str) -> Result<(), Error> {
        self.remove(&location(name)?).await
    }
}

/// Checks a name strictly, so that it means the same on every kind of storage
/// and can't lead out of the store.
fn location(name: &str) -> Result<Path, Error> {
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.bytes().all(|byte| byte == b'.')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let first = name.split('/').next().unwrap_or_default();
    if !name.split('/').all(is_word) || matches!(first, "sha256" | "staging") {
        return Err(Error::NotAName(name.to_owned()));
    }
    Ok(Path::from(name))
}
