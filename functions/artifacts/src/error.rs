//! What can go wrong with the store, so told apart that a caller can answer for
//! it: the sender's fault, the store's content, or the machine under it.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

/// Why an operation on the artifact store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's address can't be used.
    #[error("the artifact store's address `{url}` can't be used: {reason}")]
    Url {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that no artifact can have.
    #[error("`{0}` is not a SHA-256 digest: 64 lower-case hexadecimal digits are expected")]
    NotADigest(String),
    /// A name that no object can have.
    #[error(
        "`{0}` can't name an object: use words of letters, digits, `-`, `_` and `.` with `/` between them, outside `sha256/` and `staging/`"
    )]
    NotAName(String),
    /// There is nothing under this name.
    #[error("there is no `{0}` in the artifact store")]
    NotFound(String),
    /// What the store holds is not what was once put there.
    #[error(
        "the artifact {expected} is damaged: its bytes now have the digest {found}; put the file again to repair it"
    )]
    Corrupt {
        /// The artifact's name.
        expected: String,
        /// The digest of the bytes that the store holds.
        found: String,
    },
    /// What was sent is not what the sender said it would be.
    #[error(
        "the file is not what its digest says: expected {expected}, received {found}; nothing was kept"
    )]
    Mismatch {
        /// The digest that the sender named.
        expected: String,
        /// The digest of the bytes that arrived.
        found: String,
    },
    /// What was sent is larger than allowed.
    #[error("the file is larger than the {limit} bytes that are allowed; nothing was kept")]
    TooLarge {
        /// The largest size accepted, in bytes.
        limit: u64,
    },
    /// The sender's stream broke off.
    #[error("the file did not arrive whole: {0}; nothing was kept")]
    Source(#[source] Box<dyn StdError + Send + Sync>),
    /// The disk, or the user's quota on it, is full.
    #[error(
        "no space is left where the artifact store lies, while {action}; nothing was kept: free some space and try again"
    )]
    DiskFull {
        /// What was being done.
        action: String,
    },
    /// The storage refuses the request, and will until somebody changes something.
    #[error("the artifact store failed while {action}: {reason}")]
    Refused {
        /// What was being done.
        action: String,
        /// What to change.
        reason: String,
    },
    /// The storage failed in another way.
    #[error("the artifact store failed while {action}: {source}")]
    Storage {
        /// What was being done.
        action: String,
        /// The storage's own account.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// Whether the same call may succeed later without anyone changing what is sent.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. } | Self::Storage { .. } | Self::Source(_)
        )
    }

    /// Sorts an error of the storage while `action` was done to `name`.
    pub(crate) fn storage(action: &str, name: &str, source: object_store::Error) -> Self {
        if matches!(source, object_store::Error::NotFound { .. }) {
            return Self::NotFound(name.to_owned());
        }
        Self::from_system(format!("{action} `{name}`"), source.into())
    }

    /// Sorts an error of the file system while `action` was done.
    pub(crate) fn file(action: &str, source: io::Error) -> Self {
        Self::from_system(action.to_owned(), source.into())
    }

    fn from_system(action: String, source: Box<dyn StdError + Send + Sync>) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(source.as_ref());
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>()
                && matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                )
            {
                return Self::DiskFull { action };
            }
            cause = error.source();
        }
        Self::Storage { action, source }
    }
}
