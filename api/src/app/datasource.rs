//! Datasources: a topic, the format of its records and where their label stands.

use std::collections::BTreeMap;

use millrace_entity::{datasource, inference, segment};
use millrace_wire::name;
use millrace_wire::record::{Label, RecordFormat};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
};
use uuid::Uuid;

use super::{App, Code, Error, Need, Result, connection, project};

/// What a datasource is made of.
#[derive(Debug)]
pub struct NewDatasource {
    /// The project's name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// The connection's name.
    pub connection: String,
    /// The topic.
    pub topic: String,
    /// How records are encoded.
    pub format: RecordFormat,
    /// Where their labels stand, for trainings.
    pub label: Option<Label>,
    /// Where the topic is missing: make it with so many partitions (0: as many as the connection
    /// says).
    pub create_topic: Option<i32>,
}

/// Makes a datasource; its topic must exist or be asked for.
///
/// # Errors
/// `INVALID_INPUT`, `ALREADY_EXISTS`, `TOPIC_NOT_FOUND` and those of Kafka.
pub async fn create(app: &App, new: NewDatasource) -> Result<datasource::Model> {
    name::check(&new.name)?;
    name::check_topic(&new.topic)?;
    let checked = new.format.check(new.label.as_ref());
    checked.map_err(|error| Error::new(Code::InvalidInput, error.to_string()))?;
    let project = project::find(&app.database, &new.project).await?;
    let connection = connection::find(&app.database, project.id, &new.connection).await?;
    let properties = connection::properties_of(&connection)?;
    if new.format.needs_registry(new.label.as_ref())
        && !millrace_kafka::Connection::new(&properties).has_schema_registry()
    {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "the records carry ids of a schema registry, and the connection {} names none: set its property schema.registry.url, or schema.registry.glue.region",
                new.connection
            ),
        ));
    }
    let taken = datasource::Entity::find()
        .filter(datasource::Column::ProjectId.eq(project.id))
        .filter(datasource::Column::Name.eq(&new.name))
        .count(&app.database)
        .await?;
    if taken > 0 {
        return Err(Error::new(
            Code::AlreadyExists,
            format!("the datasource {} exists already", new.name),
        ));
    }
    let cluster = app.clusters.get(&connection)?;
    if let Some(partitions) = new.create_topic {
        let need = Need {
            topic: new.topic.clone(),
            partitions: (partitions > 0).then_some(partitions),
            config: BTreeMap::new(),
            purpose: format!("the records of the datasource {:?}", new.name),
        };
        cluster.ensure_topic(need).await?;
    } else {
        let topic = new.topic.clone();
        let found = cluster.run(move |admin| admin.describe_topic(&topic)).await;
        found.map_err(|error| match error.code() {
            Code::TopicNotFound => Error::new(
                Code::TopicNotFound,
                format!("{error}; with `createTopic` Millrace makes it"),
            ),
            _ => error,
        })?;
    }
    let row = datasource::Model {
        id: app.new_id(),
        project_id: project.id,
        connection_id: connection.id,
        name: new.name.clone(),
        topic: new.topic,
        format: serde_json::to_value(&new.format).map_err(Error::internal)?,
        label: new
            .label
            .map(serde_json::to_value)
            .transpose()
            .map_err(Error::internal)?,
        created_at: app.now(),
    };
    let inserted = row.into_active_model().insert(&app.database).await;
    inserted.map_err(|error| Error::unless_taken(error, "datasource", &new.name))
}

/// The datasource of a name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    project_id: Uuid,
    name: &str,
) -> Result<datasource::Model> {
    datasource::Entity::find()
        .filter(datasource::Column::ProjectId.eq(project_id))
        .filter(datasource::Column::Name.eq(name))
        .one(database)
        .await?
        .ok_or_else(|| Error::new(Code::NotFound, format!("there is no datasource {name}")))
}

/// The datasource with this id, which another row refers to.
///
/// # Errors
/// Only those of the database.
pub async fn get(database: &impl ConnectionTrait, id: Uuid) -> Result<datasource::Model> {
    datasource::Entity::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal(format!("the datasource {id} is missing")))
}

/// Deletes a datasource. The topic stays: it is not ours.
///
/// # Errors
/// `NOT_FOUND`; `IN_USE` while segments or inferences refer to it.
pub async fn delete(app: &App, project: &str, name: &str) -> Result<()> {
    let project = project::find(&app.database, project).await?;
    let row = find(&app.database, project.id, name).await?;
    let segments = segment::Entity::find()
        .filter(segment::Column::DatasourceId.eq(row.id))
        .count(&app.database)
        .await?;
    let inferences = inference::Entity::find()
        .filter(inference::Column::DatasourceId.eq(row.id))
        .all(&app.database)
        .await?;
    if segments > 0 || !inferences.is_empty() {
        let mut users: Vec<String> = inferences
            .iter()
            .map(|row| format!("the inference {}", row.name))
            .collect();
        if segments > 0 {
            users.push(format!("{segments} segments"));
        }
        return Err(Error::new(
            Code::InUse,
            format!(
                "the datasource {name} is used by {}; delete these first",
                users.join(", ")
            ),
        ));
    }
    row.into_active_model().delete(&app.database).await?;
    Ok(())
}

/// The record format of a row.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn format(row: &datasource::Model) -> Result<RecordFormat> {
    serde_json::from_value(row.format.clone()).map_err(Error::internal)
}

/// The label of a row.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn label(row: &datasource::Model) -> Result<Option<Label>> {
    row.label
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .map_err(Error::internal)
}
