//! millrace-entity.
