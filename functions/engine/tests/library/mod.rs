//! Where the tests find ONNX Runtime.

use std::path::PathBuf;

/// Where `make` puts the library, or where the environment says it is.
pub fn path() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("MILLRACE_ONNXRUNTIME__LIBRARY").unwrap_or_else(|| {
        variable("MILLRACE_CACHE")
            .unwrap_or_else(|| variable("HOME").unwrap().join(".cache/millrace"))
            .join("onnxruntime/libonnxruntime.so.1.31.1")
    })
}
