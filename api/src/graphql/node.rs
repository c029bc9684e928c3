//! Relay's `Node`: every object with an id of its own, found again by that id.

use async_graphql::{Context, ID, Interface, Object, Result};

use super::alias::Alias;
use super::connection::KafkaConnection;
use super::context::Find as _;
use super::datasource::Datasource;
use super::inference::Inference;
use super::loader::{
    AliasId, ConnectionId, DatasourceId, InferenceId, ModelId, ProjectId, SegmentId, TrainingId,
    VersionId,
};
use super::model::Model;
use super::project::Project;
use super::segment::Segment;
use super::training::Training;
use super::version::Version;
use super::{GlobalId, report};

/// An object with an id that stays.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The id, opaque to clients."))]
#[allow(
    clippy::large_enum_variant,
    reason = "a node lives for the length of one answer; boxes would cost more than they save"
)]
pub enum Node {
    /// A project.
    Project(Project),
    /// A connection.
    KafkaConnection(KafkaConnection),
    /// A model.
    Model(Model),
    /// A version of a model.
    Version(Version),
    /// A datasource.
    Datasource(Datasource),
    /// A segment.
    Segment(Segment),
    /// A training.
    Training(Training),
    /// An alias of a model.
    Alias(Alias),
    /// An inference.
    Inference(Inference),
}

/// `node`, `nodes` and `version`.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object with this id, or null where there is none (any more).
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
    ) -> Result<Option<Node>> {
        load(context, &id).await
    }

    /// The objects with these ids, in their order; null for those that are not there.
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Their ids, at most 100.", validator(max_items = 100))] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        futures::future::try_join_all(ids.iter().map(|id| load(context, id))).await
    }

    /// The version of Millrace.
    async fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

async fn load(context: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let GlobalId { kind, id } = GlobalId::decode(id).map_err(report)?;
    let rows = context.rows();
    Ok(match kind.as_str() {
        "Project" => rows
            .load_one(ProjectId(id))
            .await?
            .map(|row| Project(row).into()),
        "KafkaConnection" => rows
            .load_one(ConnectionId(id))
            .await?
            .map(|row| KafkaConnection(row).into()),
        "Alias" => rows
            .load_one(AliasId(id))
            .await?
            .map(|row| Alias(row).into()),
        "Model" => rows
            .load_one(ModelId(id))
            .await?
            .map(|row| Model(row).into()),
        "Version" => rows
            .load_one(VersionId(id))
            .await?
            .map(|row| Version(row).into()),
        "Datasource" => rows
            .load_one(DatasourceId(id))
            .await?
            .map(|row| Datasource(row).into()),
        "Segment" => rows
            .load_one(SegmentId(id))
            .await?
            .map(|row| Segment(row).into()),
        "Training" => rows
            .load_one(TrainingId(id))
            .await?
            .map(|row| Training(row).into()),
        "Inference" => rows
            .load_one(InferenceId(id))
            .await?
            .map(|row| Inference(row).into()),
        _ => None,
    })
}
