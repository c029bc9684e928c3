//! What resolvers find in their context.

use async_graphql::Context;
use async_graphql::dataloader::DataLoader;

use super::loader::Rows;
use crate::app::App;

/// Who asks, for histories. It comes with each request.
#[derive(Debug, Clone)]
pub struct Actor(pub String);

/// Short ways to what resolvers need.
pub trait Find<'a> {
    /// The application.
    fn app(&self) -> &'a App;
    /// Batched reads by id.
    fn rows(&self) -> &'a DataLoader<Rows>;
    /// Who asks.
    fn actor(&self) -> &'a str;
}

impl<'a> Find<'a> for Context<'a> {
    fn app(&self) -> &'a App {
        self.data_unchecked()
    }

    fn rows(&self) -> &'a DataLoader<Rows> {
        self.data_unchecked()
    }

    fn actor(&self) -> &'a str {
        self.data_opt::<Actor>()
            .map_or("anonymous", |actor| actor.0.as_str())
    }
}
