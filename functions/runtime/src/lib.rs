//! millrace-runtime.
