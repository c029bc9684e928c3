//! millrace-migration.
