//! digits-demo.
fn main() {}
