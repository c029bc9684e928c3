//! millrace-harness.
