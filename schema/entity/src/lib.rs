//! The rows of the API's database, one table a module.
//!
//! The migrations are the truth about the schema; a test holds these entities equal to it. Ids
//! (UUIDv7) and times come from the caller. States are kept as words, so that a person can read
//! them; which of them may follow which is not decided here.

#![allow(
    missing_docs,
    reason = "derives write items without documentation; columns have it where their name is not enough"
)]

pub mod admin_token;
pub mod alias;
pub mod alias_move;
pub mod artifact;
pub mod connection;
pub mod datasource;
pub mod event_position;
pub mod function_event;
pub mod inference;
pub mod model;
pub mod outbox;
pub mod project;
pub mod segment;
pub mod training;
pub mod training_epoch;
pub mod version;
