//! ONNX Runtime's library.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[onnxruntime]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnnxRuntime {
    /// The path of `libonnxruntime.so`, which functions are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<PathBuf>,
}
