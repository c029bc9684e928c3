//! ONNX Runtime's library.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;

/// The key of the library's path.
const LIBRARY: &str = "onnxruntime.library";

/// `[onnxruntime]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnnxRuntime {
    /// The path of `libonnxruntime.so`, which functions are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<PathBuf>,
}

impl OnnxRuntime {
    /// Checks what functions cannot run without. Only who starts them asks: all other commands do
    /// without the library.
    ///
    /// # Errors
    /// The library is not named, or is not there.
    pub fn check(&self) -> Result<(), Error> {
        let Some(library) = &self.library else {
            return Err(Error::invalid(
                LIBRARY,
                "it is not set, and no function runs without ONNX Runtime: give the path of libonnxruntime.so with MILLRACE_ONNXRUNTIME__LIBRARY (`make setup` brings one)",
            ));
        };
        if library.is_file() {
            return Ok(());
        }
        Err(Error::invalid(
            LIBRARY,
            format!(
                "there is no file {}: give the path of libonnxruntime.so (`make setup` brings one)",
                library.display()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_library_that_is_missing_is_named() {
        let check = |library| OnnxRuntime { library }.check();
        let text = check(None).unwrap_err().to_string();
        assert!(text.contains("MILLRACE_ONNXRUNTIME__LIBRARY"), "{text}");
        let text = check(Some("/no/such/file.so".into()))
            .unwrap_err()
            .to_string();
        assert!(text.contains("/no/such/file.so"), "{text}");
        let file = tempfile::NamedTempFile::new().unwrap();
        check(Some(file.path().to_owned())).unwrap();
    }
}
