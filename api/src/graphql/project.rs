//! Projects.

use std::collections::HashSet;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{connection, datasource, inference, model, project, segment, training};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use uuid::Uuid;

use super::connection::KafkaConnection;
use super::context::Find as _;
use super::datasource::Datasource;
use super::function::{Function, functions};
use super::inference::Inference;
use super::model::Model;
use super::segment::Segment;
use super::training::Training;
use super::why::Why;
use super::{GlobalId, Page, PageArguments, optional, report};
use crate::app;
use crate::platform::Owner;

/// A namespace: the names of models, datasources and so on are unique within it.
pub struct Project(pub project::Model);

/// A namespace: the names of models, datasources and so on are unique within it.
#[Object]
impl Project {
    /// Its global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Project", self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// The connection of this name.
    async fn connection(
        &self,
        context: &Context<'_>,
        #[graphql(default = "default")] name: String,
    ) -> Result<Option<KafkaConnection>> {
        let found = app::connection::find(&context.app().database, self.0.id, &name).await;
        Ok(optional(found)?.map(KafkaConnection))
    }

    /// Its connections, in the order in which they were made.
    async fn connections(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<KafkaConnection>> {
        let select = connection::Entity::find().filter(connection::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, KafkaConnection)
            .await
    }

    /// The model of this name.
    async fn model(&self, context: &Context<'_>, name: String) -> Result<Option<Model>> {
        let found = app::model::find(&context.app().database, self.0.id, &name).await;
        Ok(optional(found)?.map(Model))
    }

    /// Its models, oldest first.
    async fn models(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Model>> {
        let select = model::Entity::find().filter(model::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Model)
            .await
    }

    /// The datasource of this name.
    async fn datasource(&self, context: &Context<'_>, name: String) -> Result<Option<Datasource>> {
        let found = app::datasource::find(&context.app().database, self.0.id, &name).await;
        Ok(optional(found)?.map(Datasource))
    }

    /// Its datasources, oldest first.
    async fn datasources(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Datasource>> {
        let select = datasource::Entity::find().filter(datasource::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Datasource)
            .await
    }

    /// Its segments, oldest first.
    async fn segments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Segment>> {
        let select = segment::Entity::find().filter(segment::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Segment)
            .await
    }

    /// Its trainings, oldest first.
    async fn trainings(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Training>> {
        let select = training::Entity::find().filter(training::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Training)
            .await
    }

    /// The inference of this name.
    async fn inference(&self, context: &Context<'_>, name: String) -> Result<Option<Inference>> {
        let found = app::inference::find(&context.app().database, self.0.id, &name).await;
        Ok(optional(found)?.map(Inference))
    }

    /// Its inferences, oldest first.
    async fn inferences(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Inference>> {
        let select = inference::Entity::find().filter(inference::Column::ProjectId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Inference)
            .await
    }

    /// Why a record of an output topic is what it is: the input that it answers, the version that answered and where that
    /// comes from, and whether the version gives the same answer again. `record` is `topic/partition/offset`; a dead letter's
    /// place is taken as well.
    async fn why(
        &self,
        context: &Context<'_>,
        record: String,
        #[graphql(default = "default")] connection: String,
    ) -> Result<Why> {
        let found = app::why::why(context.app(), &self.0.name, &connection, &record).await;
        Ok(Why(found.map_err(report)?))
    }

    /// What runs for it now: its inferences' functions, and the training pool, which all projects
    /// share.
    async fn functions(&self, context: &Context<'_>) -> Result<Vec<Function>> {
        let own: HashSet<Uuid> = inference::Entity::find()
            .filter(inference::Column::ProjectId.eq(self.0.id))
            .select_only()
            .column(inference::Column::Id)
            .into_tuple()
            .all(&context.app().database)
            .await
            .map_err(|error| report(error.into()))?
            .into_iter()
            .collect();
        let is_wanted = |owner| match owner {
            Owner::TrainingPool => true,
            Owner::Inference(id) => own.contains(&id),
        };
        Ok(functions(context, is_wanted).await)
    }
}

/// Queries for projects.
#[derive(Default)]
pub struct ProjectQuery;

#[Object]
impl ProjectQuery {
    /// The project of this name.
    async fn project(
        &self,
        context: &Context<'_>,
        #[graphql(default = "default")] name: String,
    ) -> Result<Option<Project>> {
        let found = app::project::find(&context.app().database, &name).await;
        Ok(optional(found)?.map(Project))
    }

    /// All projects, in the order in which they were made.
    async fn projects(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Project>> {
        PageArguments::new(first, after, last, before)
            .page(context, project::Entity::find(), Project)
            .await
    }
}

/// What `createProject` needs.
#[derive(InputObject)]
pub struct CreateProjectInput {
    /// 1 to 63 letters, digits, `-` and `_`.
    name: String,
}

/// What `createProject` made.
#[derive(SimpleObject)]
pub struct CreateProjectPayload {
    /// The new project.
    project: Project,
}

/// What `deleteProject` needs.
#[derive(InputObject)]
pub struct DeleteProjectInput {
    /// An empty project.
    name: String,
}

/// What `deleteProject` removed.
#[derive(SimpleObject)]
pub struct DeleteProjectPayload {
    /// The project that is gone.
    name: String,
}

/// Mutations of projects.
#[derive(Default)]
pub struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Makes a project, with the connection of the configuration in it.
    async fn create_project(
        &self,
        context: &Context<'_>,
        input: CreateProjectInput,
    ) -> Result<CreateProjectPayload> {
        let row = app::project::create(context.app(), &input.name)
            .await
            .map_err(report)?;
        Ok(CreateProjectPayload {
            project: Project(row),
        })
    }

    /// Deletes an empty project.
    async fn delete_project(
        &self,
        context: &Context<'_>,
        input: DeleteProjectInput,
    ) -> Result<DeleteProjectPayload> {
        app::project::delete(context.app(), &input.name)
            .await
            .map_err(report)?;
        Ok(DeleteProjectPayload { name: input.name })
    }
}
