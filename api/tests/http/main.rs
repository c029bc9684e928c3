//! The API as its clients see it: HTTP in, JSON out, on a real SQLite and a real PostgreSQL. Kafka
//! is out of reach here, which must not hinder what does not need it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod artifact;
mod audits;
mod bounds;
mod connection;
mod full_disk;
mod hyperparameters;
mod layers;
mod model;
mod protocol;
mod rows;
mod server;
mod socket;
mod token;
mod training;
