//! Millrace's control plane: the GraphQL API, what it drives, and the `millrace` command.
//!
//! `graphql` and `http` speak to the outside, `app` decides, `platform` runs functions. Types of
//! GraphQL never enter `app`; SQL never leaves it but for plain reads by id.

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod graphql;
pub mod http;
pub mod output;
pub mod platform;
