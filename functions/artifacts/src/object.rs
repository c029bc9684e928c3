//! Small named things that change: checkpoints and pointers.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStoreExt as _};

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
    /// errors of the storage.
    pub async fn put_object(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        self.place.replace(&location(name)?, bytes).await
    }

    /// Reads the object `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the storage.
    pub async fn get_object(&self, name: &str) -> Result<Bytes, Error> {
        let failed = |error| self.place.failed("reading", name, error);
        let location = location(name)?;
        let found = self.place.storage().get(&location).await;
        found.map_err(failed)?.bytes().await.map_err(failed)
    }

    /// Reads the object `name`, unless it is still the one with this tag: then nothing is read, and
    /// nothing given back.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the errors of the storage.
    pub async fn get_changed_object(
        &self,
        name: &str,
        tag: Option<&str>,
    ) -> Result<Option<Tagged>, Error> {
        let options = GetOptions {
            if_none_match: tag.map(str::to_owned),
            ..GetOptions::default()
        };
        let failed = |error| self.place.failed("reading", name, error);
        let location = location(name)?;
        let found = match self.place.storage().get_opts(&location, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotModified { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let tag = found.meta.e_tag.clone();
        let bytes = found.bytes().await.map_err(failed)?;
        Ok(Some(Tagged { bytes, tag }))
    }

    /// Removes the object `name`; one that is not there is no error.
    ///
    /// # Errors
    /// The errors of the storage.
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
