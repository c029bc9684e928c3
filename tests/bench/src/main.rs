//! millrace-bench.
fn main() {}
