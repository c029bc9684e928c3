//! The GraphQL schema: one file a noun, each with its object, queries, mutations and inputs.
//!
//! Resolvers translate and delegate to `app`. Object-to-object fields go through [`loader`], so
//! that a list of a hundred versions asks for its models once.

#![allow(
    clippy::unused_async,
    reason = "every resolver is asynchronous, whether it waits or not"
)]

pub mod alias;
mod class_report;
pub mod connection;
pub mod context;
pub mod datasource;
pub mod dead_letter;
mod error;
mod format;
pub mod function;
mod id;
pub mod inference;
pub mod layer;
pub mod loader;
mod long;
pub mod model;
pub mod node;
mod null;
mod page;
pub mod project;
pub mod record;
pub mod samples;
mod schema;
pub mod segment;
mod text;
pub mod training;
pub mod version;
pub mod why;

pub use context::Actor;
pub use error::{optional, report};
pub use id::GlobalId;
pub use long::Long;
pub use page::{Page, PageArguments};
pub use schema::{Mutation, Query, Schema, Subscription, schema, sdl};
