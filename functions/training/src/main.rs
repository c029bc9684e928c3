//! millrace-training.
fn main() {}
