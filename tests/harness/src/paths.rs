//! Where things lie: the checkout, the cache folder, ONNX Runtime, the workspace's binaries.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the harness lies two folders below the root")
        .to_path_buf()
}

/// The cache folder that `make setup` fills: `MILLRACE_CACHE`, else `~/.cache/millrace`.
pub fn cache() -> PathBuf {
    env::var_os("MILLRACE_CACHE").map_or_else(
        || {
            let home = env::var_os("HOME").expect("set HOME or MILLRACE_CACHE");
            PathBuf::from(home).join(".cache/millrace")
        },
        PathBuf::from,
    )
}

/// The path of ONNX Runtime's library: `MILLRACE_ONNXRUNTIME__LIBRARY`, else the cache's.
pub fn onnxruntime() -> PathBuf {
    if let Some(named) = env::var_os("MILLRACE_ONNXRUNTIME__LIBRARY") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "MILLRACE_ONNXRUNTIME__LIBRARY names {}, which is no file",
            named.display()
        );
        return named;
    }
    let folder = cache().join("onnxruntime");
    let name = if env::consts::OS == "macos" {
        "libonnxruntime.1.31.1.dylib"
    } else {
        "libonnxruntime.so.1.31.1"
    };
    let library = folder.join(name);
    assert!(
        library.is_file(),
        "no ONNX Runtime at {}: run `make setup`, or set MILLRACE_ONNXRUNTIME__LIBRARY",
        library.display()
    );
    library
}

/// The path of a binary of this workspace, beside which the running test was built; or of what stands for it in the folder
/// `MILLRACE_TEST_PROGRAMS`, as programs of a package do.
pub fn binary(name: &str) -> PathBuf {
    if let Some(folder) = env::var_os("MILLRACE_TEST_PROGRAMS") {
        let binary = Path::new(&folder).join(name);
        if binary.is_file() {
            return binary;
        }
    }
    let test = env::current_exe().expect("a process knows its own file");
    let mut folder = test.parent().expect("a file lies in a folder");
    if folder.ends_with("deps") {
        folder = folder.parent().expect("deps lies in the profile's folder");
    }
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "no binary {}: run `cargo build --workspace --all-targets` first, as `make test` does",
        binary.display()
    );
    binary
}
