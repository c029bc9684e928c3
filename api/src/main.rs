//! The `millrace` command: arguments and start-up only.

fn main() {}
