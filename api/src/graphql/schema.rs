//! The root of the schema: each noun brings its part of the three root types.

use async_graphql::dataloader::DataLoader;
use async_graphql::{MergedObject, MergedSubscription};

use super::alias::{AliasMutation, AliasSubscription};
use super::connection::ConnectionMutation;
use super::datasource::DatasourceMutation;
use super::dead_letter::DeadLetterMutation;
use super::error::Codes;
use super::inference::{InferenceMutation, InferenceSubscription};
use super::loader::Rows;
use super::model::ModelMutation;
use super::node::NodeQuery;
use super::null::Nulls;
use super::project::{ProjectMutation, ProjectQuery};
use super::segment::SegmentMutation;
use super::text::Texts;
use super::training::{TrainingMutation, TrainingSubscription};
use crate::app::App;

/// Deep enough for the standard introspection query, which twelve levels are not.
const DEPTH: usize = 16;
/// Fields of one operation. The standard introspection query has about 300.
const COMPLEXITY: usize = 1000;

/// What can be asked.
#[derive(MergedObject, Default)]
pub struct Query(NodeQuery, ProjectQuery);

/// What can be done.
#[derive(MergedObject, Default)]
pub struct Mutation(
    ProjectMutation,
    ConnectionMutation,
    ModelMutation,
    AliasMutation,
    DatasourceMutation,
    SegmentMutation,
    TrainingMutation,
    InferenceMutation,
    DeadLetterMutation,
);

/// What can be followed.
#[derive(MergedSubscription, Default)]
pub struct Subscription(
    AliasSubscription,
    TrainingSubscription,
    InferenceSubscription,
);

/// The executable schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema over an application.
#[must_use]
pub fn schema(app: App) -> Schema {
    let rows = DataLoader::new(Rows::new(app.database.clone()), tokio::spawn);
    let mut builder = Schema::build(
        Query::default(),
        Mutation::default(),
        Subscription::default(),
    )
    .limit_depth(DEPTH)
    .limit_complexity(COMPLEXITY)
    .extension(Codes)
    .extension(Nulls)
    .extension(Texts);
    if !app.config.http.introspection {
        // Suggestions ("did you mean …") would give away what introspection no longer tells.
        builder = builder.disable_introspection().disable_suggestions();
    }
    builder.data(rows).data(app).finish()
}

/// The schema in GraphQL's own language.
#[must_use]
pub fn sdl() -> String {
    Schema::build(
        Query::default(),
        Mutation::default(),
        Subscription::default(),
    )
    .finish()
    .sdl()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_the_one_that_the_code_has() {
        let committed = include_str!("../../../schema/schema.graphql");
        assert!(
            super::sdl() == committed,
            "schema/schema.graphql is not what the code says: run `make sdl` and commit it"
        );
    }
}
