//! The GraphQL schema: one file a noun, each with its object, queries, mutations and inputs.
//!
//! Resolvers translate and delegate to `app`. Object-to-object fields go through [`loader`], so
//! that a list of a hundred versions asks for its models once.

mod error;
mod id;
pub mod loader;
mod long;
mod page;

pub use error::report;
pub use id::GlobalId;
pub use long::Long;
pub use page::{Page, PageArguments};
