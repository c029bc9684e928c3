//! Connections: Kafka clusters with their rules for topics. Each project has `default`, which the
//! configuration alone changes. Secrets are kept as references, never as themselves.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_entity::connection::{self, TopicPolicy};
use millrace_entity::{datasource, inference, outbox, project};
use millrace_wire::name::{self, Names, TopicTemplates};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
};
use serde_json::json;
use uuid::Uuid;

use super::{App, Code, Error, Result, project as projects};
use crate::config;

/// The connection that the configuration describes.
pub const DEFAULT: &str = "default";

/// What a new connection is made from.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Its name.
    pub name: String,
    /// All librdkafka properties.
    pub properties: BTreeMap<String, String>,
    /// What the names of topics, groups and transactions begin with.
    pub prefix: String,
    /// Whether missing topics are made.
    pub topics: TopicPolicy,
    /// Partitions of topics made here.
    pub partitions: i32,
    /// Replicas of topics made here; −1 is the cluster's default.
    pub replication: i32,
    /// Names of topics made here.
    pub templates: TopicTemplates,
}

/// The connection of this name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    project_id: Uuid,
    name: &str,
) -> Result<connection::Model> {
    connection::Entity::find()
        .filter(connection::Column::ProjectId.eq(project_id))
        .filter(connection::Column::Name.eq(name))
        .one(database)
        .await?
        .ok_or_else(|| Error::not_found("connection", name))
}

/// The connection with this id, which another row refers to.
///
/// # Errors
/// Only those of the database.
pub async fn get(database: &impl ConnectionTrait, id: Uuid) -> Result<connection::Model> {
    connection::Entity::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal(format!("the connection {id} is missing")))
}

/// The connection that carries Millrace's own topics: commands, events, the registry.
///
/// # Errors
/// Only those of the database: start-up makes it.
pub async fn control(database: &impl ConnectionTrait) -> Result<connection::Model> {
    let project = projects::find(database, projects::DEFAULT).await?;
    find(database, project.id, DEFAULT).await
}

/// Makes a connection. The cluster need not be reachable.
///
/// # Errors
/// `INVALID_INPUT`, `NOT_FOUND` for the project, `ALREADY_EXISTS`.
pub async fn create(app: &App, project: &str, new: NewConnection) -> Result<connection::Model> {
    name::check(&new.name)?;
    check(&new)?;
    check_references(&app.config.secrets, &new)?;
    millrace_kafka::Connection::new(&new.properties).check_properties()?;
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let row = row_of(app, project.id, &new, false)?;
    row.clone()
        .into_active_model()
        .insert(&transaction)
        .await
        .map_err(|error| Error::unless_taken(error, "connection", &new.name))?;
    transaction.commit().await?;
    tracing::info!(connection.name = %row.name, project.name = %project.name, "connection created");
    Ok(row)
}

/// Removes a connection that nothing uses.
///
/// # Errors
/// `NOT_FOUND`, `ILLEGAL_STATE` for the configuration's, `IN_USE`.
pub async fn delete(app: &App, project: &str, name: &str) -> Result<()> {
    let transaction = app.begin().await?;
    let project: project::Model = projects::find(&transaction, project).await?;
    let row = find(&transaction, project.id, name).await?;
    if row.managed {
        return Err(Error::new(
            Code::IllegalState,
            format!("the connection {name:?} comes from the configuration, which alone changes it"),
        ));
    }
    let datasources = datasource::Entity::find()
        .filter(datasource::Column::ConnectionId.eq(row.id))
        .all(&transaction)
        .await?;
    let inferences = inference::Entity::find()
        .filter(inference::Column::ConnectionId.eq(row.id))
        .all(&transaction)
        .await?;
    let users: Vec<String> = datasources
        .iter()
        .map(|datasource| format!("datasource {:?}", datasource.name))
        .chain(
            inferences
                .iter()
                .map(|inference| format!("inference {:?}", inference.name)),
        )
        .collect();
    if !users.is_empty() {
        return Err(Error::in_use("connection", name, &users));
    }
    let unsent = outbox::Entity::find()
        .filter(outbox::Column::ConnectionId.eq(row.id))
        .count(&transaction)
        .await?;
    if unsent > 0 {
        let users = [format!("{unsent} records that wait to be sent")];
        return Err(Error::in_use("connection", name, &users));
    }
    connection::Entity::delete_by_id(row.id)
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    app.clusters.forget(row.id);
    tracing::info!(connection.name = name, "connection deleted");
    Ok(())
}

/// Brings a project's connection `default` up to the configuration.
pub(super) async fn put_default(
    app: &App,
    database: &impl ConnectionTrait,
    project_id: Uuid,
) -> Result<()> {
    let new = configured(&app.config.kafka);
    let wanted = row_of(app, project_id, &new, true)?;
    let found = connection::Entity::find()
        .filter(connection::Column::ProjectId.eq(project_id))
        .filter(connection::Column::Name.eq(DEFAULT))
        .one(database)
        .await?;
    let Some(found) = found else {
        wanted.into_active_model().insert(database).await?;
        return Ok(());
    };
    let wanted = connection::Model {
        id: found.id,
        created_at: found.created_at,
        ..wanted
    };
    if wanted != found {
        connection::ActiveModel {
            id: Set(wanted.id),
            ..wanted.into_active_model().reset_all()
        }
        .update(database)
        .await?;
    }
    Ok(())
}

/// Checks what the configuration says of the connection `default`.
pub(super) fn check_configured(kafka: &config::Kafka) -> Result<()> {
    check(&configured(kafka))
}

fn configured(kafka: &config::Kafka) -> NewConnection {
    NewConnection {
        name: DEFAULT.to_owned(),
        properties: kafka.all_properties(),
        prefix: kafka.prefix.clone(),
        topics: match kafka.topics {
            config::TopicPolicy::Create => TopicPolicy::Create,
            config::TopicPolicy::Require => TopicPolicy::Require,
        },
        partitions: kafka.partitions,
        replication: kafka.replication,
        templates: kafka.templates.clone(),
    }
}

fn row_of(
    app: &App,
    project_id: Uuid,
    new: &NewConnection,
    managed: bool,
) -> Result<connection::Model> {
    Ok(connection::Model {
        id: app.new_id(),
        project_id,
        name: new.name.clone(),
        properties: json!(new.properties),
        prefix: new.prefix.clone(),
        topic_templates: serde_json::to_value(&new.templates).map_err(Error::internal)?,
        topic_policy: new.topics,
        topic_partitions: new.partitions,
        topic_replication: new.replication,
        managed,
        created_at: app.now(),
    })
}

fn check(new: &NewConnection) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::InvalidInput, message));
    name::check_prefix(&new.prefix).or_else(invalid)?;
    if new.partitions < 1 || (new.replication < 1 && new.replication != -1) {
        return invalid(
            "a topic has at least 1 partition and 1 replica (-1 replicas: the cluster's default)"
                .to_owned(),
        );
    }
    new.templates.check().or_else(invalid)?;
    Ok(millrace_kafka::Connection::new(&new.properties).check()?)
}

/// Checks that a connection names only secrets that were put there for connections: whoever makes
/// it chooses the brokers to whom they are shown.
fn check_references(secrets: &config::Secrets, new: &NewConnection) -> Result<()> {
    use millrace_kafka::Reference;
    let connection = millrace_kafka::Connection::new(&new.properties);
    for (property, reference) in connection.references()? {
        let rule = match reference {
            Reference::Env(name) if name.starts_with(config::SECRET_PREFIX) => continue,
            Reference::File(path) if secrets.holds(Path::new(path)) => continue,
            Reference::Aws(_) if reference.arn().is_some_and(|arn| secrets.names(arn)) => continue,
            Reference::Aws(_) => "a connection made here may name the secrets of AWS that `secrets.arns` of the configuration lists, and this one is not among them".to_owned(),
            Reference::Env(_) => format!(
                "a connection made here may name environment variables that begin with {}",
                config::SECRET_PREFIX
            ),
            Reference::File(_) => match &secrets.folder {
                Some(folder) => format!(
                    "a connection made here may name files below {}",
                    folder.display()
                ),
                None => "a connection made here may name files below `secrets.folder` of the configuration, which is not set".to_owned(),
            },
        };
        return Err(Error::new(
            Code::InvalidInput,
            format!("{property} refers to {reference}: {rule}"),
        ));
    }
    Ok(())
}

/// The librdkafka properties of a row, with references to secrets.
///
/// # Errors
/// Only where somebody else wrote the row.
pub fn properties_of(row: &connection::Model) -> Result<BTreeMap<String, String>> {
    serde_json::from_value(row.properties.clone()).map_err(Error::internal)
}

/// The names of what Millrace has on a connection.
///
/// # Errors
/// Only where somebody else wrote the row.
pub fn names_of(row: &connection::Model) -> Result<Names> {
    let templates = serde_json::from_value(row.topic_templates.clone()).map_err(Error::internal)?;
    Ok(Names::new(&row.prefix, templates))
}
