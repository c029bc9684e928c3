//! The first sessions of a process, made at once: the only test of its process, since just the first ones enter the domain
//! of our operators.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod library;

use std::sync::Barrier;

use millrace_engine::{Session, SessionOptions, load};

const THREADS: usize = 8;

#[test]
fn may_be_made_at_once() {
    load(&library::path()).unwrap();
    let model = include_bytes!("../../onnx/tests/exports/sklearn_regression.onnx");
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                Session::from_bytes(model, &SessionOptions::default()).unwrap();
            });
        }
    });
}
