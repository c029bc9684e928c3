//! What a process without ONNX Runtime gets: errors, never a panic.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use millrace_engine::{Error, Session, SessionOptions, load};

#[test]
fn without_a_library_there_are_errors() {
    let session = Session::from_bytes(b"", &SessionOptions::default());
    assert!(matches!(session.map(|_| ()), Err(Error::NotLoaded)));

    let missing = Path::new("/nowhere/libonnxruntime.so");
    let error = load(missing).unwrap_err();
    assert!(matches!(error, Error::Library { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/libonnxruntime.so"));

    // A failed attempt does not stand in the way of the next, which fails for its own reason.
    let other = std::env::current_exe().unwrap();
    let error = load(&other).unwrap_err();
    assert!(matches!(error, Error::Library { .. }), "{error}");
    assert!(error.to_string().contains(other.to_str().unwrap()));
}
