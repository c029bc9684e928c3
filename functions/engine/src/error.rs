//! What can go wrong between Millrace and ONNX Runtime.
//!
//! Nothing here gets better by trying again: the library, the model or the
//! caller's data has to change.

use std::path::PathBuf;

/// Why ONNX Runtime did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library can't be used.
    #[error("can't load ONNX Runtime from `{}`: {reason}; point `MILLRACE_ONNXRUNTIME__LIBRARY` at libonnxruntime 1.31 or later", path.display())]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another file was loaded before: a process has one ONNX Runtime for ever.
    #[error("ONNX Runtime was already loaded from `{}`", path.display())]
    LoadedElsewhere {
        /// Where it came from.
        path: PathBuf,
    },
    /// A session was asked for before [`crate::load`] was called.
    #[error("ONNX Runtime is not loaded yet")]
    NotLoaded,
    /// ONNX Runtime refuses the model.
    #[error("ONNX Runtime refuses the model: {0}")]
    Model(String),
    /// An input does not fit its own description.
    #[error("the input `{name}` can't be used: {reason}")]
    Input {
        /// The input's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An output is missing, or is nothing that Millrace can read.
    #[error("the output `{name}` can't be read: {reason}")]
    Output {
        /// The output's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model failed on its inputs, or they don't fit it.
    #[error("ONNX Runtime could not run the model: {0}")]
    Run(String),
}
