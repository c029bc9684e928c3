//! millrace-wire.
