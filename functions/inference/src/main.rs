//! millrace-inference.
fn main() {}
