//! What is too much.

use serde::{Deserialize, Serialize};

use super::Error;

/// `[limits]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest ONNX file that is taken in, in bytes.
    pub max_artifact_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An ONNX file is a protobuf message, which ends at 2 GiB.
            max_artifact_bytes: 2 << 30,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.max_artifact_bytes == 0 {
            return Err(Error::invalid(
                "limits.max_artifact_bytes",
                "0 would refuse every file; give the largest size in bytes",
            ));
        }
        Ok(())
    }
}
