//! The API as its clients see it: HTTP in, JSON out, on a real SQLite and a real PostgreSQL. Kafka
//! is out of reach here, which must not hinder what does not need it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod artifact;
mod audits;
mod bounds;
mod connection;
mod fit;
mod full_disk;
mod hyperparameters;
mod in_use;
mod layers;
mod model;
mod protocol;
mod reports;
mod rows;
mod server;
mod socket;
mod texts;
mod token;
mod training;
