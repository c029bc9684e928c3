//! millrace-integration.
