//! millrace-kafka.
