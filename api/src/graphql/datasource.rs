//! Datasources: the object and its mutations.

use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{datasource as rows, segment as segment_rows};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::connection::KafkaConnection;
use super::context::Find as _;
use super::format::{LabelInput, RecordFormatInput};
use super::loader::ConnectionId;
use super::segment::Segment;
use super::{GlobalId, Long, Page, PageArguments, report};
use crate::app::datasource::{self, NewDatasource};
use crate::app::{Code, Error};

/// A topic, the format of its records and where their label stands.
pub struct Datasource(pub rows::Model);

/// A topic as Kafka describes it now.
#[derive(SimpleObject)]
pub struct TopicDescription {
    /// Kafka's id: another one after the topic was deleted and created again.
    topic_id: String,
    /// How many partitions it has.
    partitions: i32,
    /// How long records are kept, in milliseconds; −1 is for ever.
    retention_ms: Long,
    /// `delete`, `compact`, or both.
    cleanup_policy: String,
}

#[Object]
impl Datasource {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Datasource", self.0.id)
    }

    /// Unique within the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The topic.
    async fn topic(&self) -> &str {
        &self.0.topic
    }

    /// How its records are encoded.
    async fn format(&self) -> Json<&serde_json::Value> {
        Json(&self.0.format)
    }

    /// Where labels stand.
    async fn label(&self) -> Option<Json<&serde_json::Value>> {
        self.0.label.as_ref().map(Json)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// The cluster.
    async fn connection(&self, context: &Context<'_>) -> Result<KafkaConnection> {
        let row = context
            .rows()
            .load_one(ConnectionId(self.0.connection_id))
            .await?;
        row.map(KafkaConnection)
            .ok_or_else(|| report(Error::internal("a datasource without its connection")))
    }

    /// The topic as Kafka describes it now.
    async fn topic_description(&self, context: &Context<'_>) -> Result<TopicDescription> {
        let app = context.app();
        let cluster = app.cluster(self.0.connection_id).await.map_err(report)?;
        let topic = self.0.topic.clone();
        let found = cluster.run(move |admin| admin.describe_topic(&topic)).await;
        let found = found.map_err(report)?;
        Ok(TopicDescription {
            topic_id: found.id,
            partitions: found.partitions,
            retention_ms: found.retention_ms.into(),
            cleanup_policy: found.cleanup_policy,
        })
    }

    /// The segments made of it, oldest first.
    async fn segments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Segment>> {
        let select =
            segment_rows::Entity::find().filter(segment_rows::Column::DatasourceId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Segment)
            .await
    }
}

/// Mutations of datasources.
#[derive(Default)]
pub struct DatasourceMutation;

/// What a datasource is made of.
#[derive(InputObject)]
pub struct CreateDatasourceInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// Its name, unique within the project.
    name: String,
    /// The Kafka connection's name.
    #[graphql(default = "default")]
    connection: String,
    /// The topic.
    topic: String,
    /// How records are encoded.
    format: RecordFormatInput,
    /// Where labels stand; needed for trainings.
    label: Option<LabelInput>,
    /// Make the topic if it is missing. Without this it must exist.
    create_topic: Option<CreateTopicInput>,
}

/// How a missing topic is made.
#[derive(InputObject)]
pub struct CreateTopicInput {
    /// How many partitions; the connection's number if left out.
    partitions: Option<i32>,
}

impl CreateTopicInput {
    /// How many partitions; 0 for the connection's number.
    fn partitions(self) -> Result<i32, Error> {
        match self.partitions {
            None => Ok(0),
            // Kafka's own limit of one topic.
            Some(partitions) if (1..=100_000).contains(&partitions) => Ok(partitions),
            Some(partitions) => Err(Error::new(
                Code::InvalidInput,
                format!("a topic has 1 to 100000 partitions, not {partitions}"),
            )),
        }
    }
}

/// The new datasource.
#[derive(SimpleObject)]
pub struct CreateDatasourcePayload {
    /// The new datasource.
    datasource: Datasource,
}

/// Which datasource to delete.
#[derive(InputObject)]
pub struct DeleteDatasourceInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// Its name.
    name: String,
}

/// What was deleted.
#[derive(SimpleObject)]
pub struct DeleteDatasourcePayload {
    /// Its name.
    name: String,
}

#[Object]
impl DatasourceMutation {
    /// Makes a datasource.
    async fn create_datasource(
        &self,
        context: &Context<'_>,
        input: CreateDatasourceInput,
    ) -> Result<CreateDatasourcePayload> {
        let app = context.app();
        let format = input.format.into_format().map_err(report)?;
        let label = input.label.map(LabelInput::into_label).transpose();
        let new = NewDatasource {
            project: input.project,
            name: input.name,
            connection: input.connection,
            topic: input.topic,
            format,
            label: label.map_err(report)?,
            create_topic: input
                .create_topic
                .map(CreateTopicInput::partitions)
                .transpose()
                .map_err(report)?,
        };
        let row = datasource::create(app, new).await.map_err(report)?;
        Ok(CreateDatasourcePayload {
            datasource: Datasource(row),
        })
    }

    /// Deletes a datasource that nothing uses. Its topic stays.
    async fn delete_datasource(
        &self,
        context: &Context<'_>,
        input: DeleteDatasourceInput,
    ) -> Result<DeleteDatasourcePayload> {
        let app = context.app();
        let deleted = datasource::delete(app, &input.project, &input.name).await;
        deleted.map_err(report)?;
        Ok(DeleteDatasourcePayload { name: input.name })
    }
}
