//! What trainings may use of the machine that they run on.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[training]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Decoded records of a training that take more bytes than these lie in a scratch file.
    pub memory_bytes: u64,
    /// The folder of scratch files; the system's temporary one where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch_folder: Option<PathBuf>,
    /// After so many seconds a training makes way for one that waits, and goes on after it; with 0 each runs to its end.
    pub slice_seconds: u32,
}

impl Training {
    /// For how long a training goes on while others wait, where they take turns.
    #[must_use]
    pub fn slice(&self) -> Option<Duration> {
        (self.slice_seconds > 0).then(|| Duration::from_secs(self.slice_seconds.into()))
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            scratch_folder: None,
            slice_seconds: 0,
        }
    }
}
