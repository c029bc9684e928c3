//! millrace-engine.
