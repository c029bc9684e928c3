//! millrace-artifacts.
