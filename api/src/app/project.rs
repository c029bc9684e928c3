//! Projects: the namespaces. `default` is always there.

use millrace_entity::{connection, datasource, inference, model, project};
use millrace_wire::name;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
};
use uuid::Uuid;

use super::{App, Code, Error, Result, connection as connections};

/// The project that is always there.
pub const DEFAULT: &str = "default";

/// The project of this name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(database: &impl ConnectionTrait, name: &str) -> Result<project::Model> {
    project::Entity::find()
        .filter(project::Column::Name.eq(name))
        .one(database)
        .await?
        .ok_or_else(|| Error::not_found("project", name))
}

/// The project with this id, which another row refers to.
///
/// # Errors
/// Only those of the database: the row that refers to it keeps it there.
pub async fn get(database: &impl ConnectionTrait, id: Uuid) -> Result<project::Model> {
    project::Entity::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal(format!("the project {id} is missing")))
}

/// Makes a project, with the connection of the configuration.
///
/// # Errors
/// `INVALID_INPUT` for the name, `ALREADY_EXISTS`.
pub async fn create(app: &App, name: &str) -> Result<project::Model> {
    name::check(name)?;
    let transaction = app.begin().await?;
    let row = project::Model {
        id: app.new_id(),
        name: name.to_owned(),
        created_at: app.now(),
    };
    row.clone()
        .into_active_model()
        .insert(&transaction)
        .await
        .map_err(|error| Error::unless_taken(error, "project", name))?;
    connections::put_default(app, &transaction, row.id).await?;
    transaction.commit().await?;
    tracing::info!(project.name = name, "project created");
    Ok(row)
}

/// Removes an empty project.
///
/// # Errors
/// `NOT_FOUND`, `ILLEGAL_STATE` for the default one, `IN_USE`.
pub async fn delete(app: &App, name: &str) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::new(
            Code::IllegalState,
            "the project \"default\" is always there and cannot be deleted",
        ));
    }
    let transaction = app.begin().await?;
    let row = find(&transaction, name).await?;
    let contents = [
        (
            "models",
            model::Entity::find()
                .filter(model::Column::ProjectId.eq(row.id))
                .count(&transaction)
                .await?,
        ),
        (
            "datasources",
            datasource::Entity::find()
                .filter(datasource::Column::ProjectId.eq(row.id))
                .count(&transaction)
                .await?,
        ),
        (
            "inferences",
            inference::Entity::find()
                .filter(inference::Column::ProjectId.eq(row.id))
                .count(&transaction)
                .await?,
        ),
        (
            "connections",
            connection::Entity::find()
                .filter(connection::Column::ProjectId.eq(row.id))
                .filter(connection::Column::Managed.eq(false))
                .count(&transaction)
                .await?,
        ),
    ];
    let users: Vec<String> = contents
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if !users.is_empty() {
        return Err(Error::in_use("project", name, &users));
    }
    let connections = connection::Entity::find()
        .filter(connection::Column::ProjectId.eq(row.id))
        .all(&transaction)
        .await?;
    connection::Entity::delete_many()
        .filter(connection::Column::ProjectId.eq(row.id))
        .exec(&transaction)
        .await?;
    project::Entity::delete_by_id(row.id)
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    for connection in connections {
        app.clusters.forget(connection.id);
    }
    tracing::info!(project.name = name, "project deleted");
    Ok(())
}

/// Makes the project `default` where it is missing, and brings every project's connection
/// `default` up to the configuration.
///
/// # Errors
/// `INVALID_INPUT` where the configured connection is wrong, and the database's.
pub async fn prepare(app: &App) -> Result<()> {
    connections::check_configured(&app.config.kafka)?;
    let transaction = app.begin().await?;
    let projects = project::Entity::find().all(&transaction).await?;
    if !projects.iter().any(|project| project.name == DEFAULT) {
        let row = project::Model {
            id: app.new_id(),
            name: DEFAULT.to_owned(),
            created_at: app.now(),
        };
        row.clone().into_active_model().insert(&transaction).await?;
        connections::put_default(app, &transaction, row.id).await?;
    }
    for project in projects {
        connections::put_default(app, &transaction, project.id).await?;
    }
    transaction.commit().await?;
    Ok(())
}
