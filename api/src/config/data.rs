//! The folder of what Millrace keeps on this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[data]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Holds the database and the artifacts, unless these are elsewhere. Made where it is missing.
    pub folder: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            folder: "millrace-data".into(),
        }
    }
}
