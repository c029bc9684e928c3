//! Aliases: names that point at a version of a model. Moving one is the promotion; each move is
//! kept, and reaches functions through the registry topic.

use chrono::TimeDelta;
use millrace_entity::{alias, alias_move, inference, model, project, version};
use millrace_wire::name;
use millrace_wire::registry::{self, Pointer};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use uuid::Uuid;

use super::outbox::{self, Message};
use super::version::{self as versions, Selector};
use super::{App, Change, Error, Result, connection, model as models, project as projects};

/// The smallest step of the times that databases keep.
const TICK: TimeDelta = TimeDelta::microseconds(1);

/// Points an alias at a version of its model, making it where it is missing.
///
/// # Errors
/// `INVALID_INPUT` for the name, `NOT_FOUND`.
pub async fn set(
    app: &App,
    project: &str,
    model: &str,
    name: &str,
    number: i32,
    by: &str,
) -> Result<alias::Model> {
    name::check(name)?;
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let model = models::find(&transaction, project.id, model).await?;
    let version = versions::select(&transaction, &model, &Selector::Number(number)).await?;
    let row = point(app, &transaction, &version, name, by).await?;
    transaction.commit().await?;
    app.outbox.wake();
    app.changes.send(Change::Alias(row.id));
    tracing::info!(
        model.name = model.name,
        alias.name = name,
        version.number = number,
        "alias moved"
    );
    Ok(row)
}

/// Points an alias at a version within a transaction: the row, its history and the registry record
/// together. An alias that points there already is left alone.
pub(super) async fn point(
    app: &App,
    transaction: &impl ConnectionTrait,
    version: &version::Model,
    name: &str,
    by: &str,
) -> Result<alias::Model> {
    let model = models::get(transaction, version.model_id).await?;
    let project = projects::get(transaction, model.project_id).await?;
    let found = find_row(transaction, model.id, name).await?;
    let before = found.as_ref().map(|row| row.version_id);
    // Functions take a move that is not later than the last one for a repeat of an older record.
    let earliest = found.as_ref().map(|row| row.moved_at + TICK);
    let moved_at = earliest.map_or(app.now(), |earliest| earliest.max(app.now()));
    let row = match found {
        Some(row) if row.version_id == version.id => return Ok(row),
        Some(row) => {
            let mut change = row.into_active_model();
            change.version_id = Set(version.id);
            change.moved_at = Set(moved_at);
            change.update(transaction).await?
        }
        None => {
            let row = alias::Model {
                id: app.new_id(),
                model_id: model.id,
                name: name.to_owned(),
                version_id: version.id,
                moved_at,
            };
            row.into_active_model().insert(transaction).await?
        }
    };
    keep_move(app, transaction, &row, before, Some(version.id), by).await?;
    let wire = versions::wire(version)?;
    let moved_at_us = moved_at.timestamp_micros();
    let pointer = Pointer::new(&project.name, &model.name, name, moved_at_us, wire);
    announce(app, transaction, pointer.key(), Some(pointer.to_json())).await?;
    Ok(row)
}

/// Removes an alias.
///
/// # Errors
/// `NOT_FOUND`; `IN_USE` while an inference follows it.
pub async fn remove(app: &App, project: &str, model: &str, name: &str, by: &str) -> Result<()> {
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let model = models::find(&transaction, project.id, model).await?;
    let row = find(&transaction, &model, name).await?;
    let followers: Vec<String> = inference::Entity::find()
        .filter(inference::Column::ModelId.eq(model.id))
        .filter(inference::Column::Alias.eq(name))
        .all(&transaction)
        .await?
        .iter()
        .map(|inference| format!("the inference {:?}", inference.name))
        .collect();
    if !followers.is_empty() {
        return Err(Error::in_use("alias", name, &followers));
    }
    let removed = alias::Model {
        moved_at: app.now(),
        ..row.clone()
    };
    keep_move(app, &transaction, &removed, Some(row.version_id), None, by).await?;
    alias::Entity::delete_by_id(row.id)
        .exec(&transaction)
        .await?;
    let key = registry::key(&project.name, &model.name, name);
    announce(app, &transaction, key, None).await?;
    transaction.commit().await?;
    app.outbox.wake();
    tracing::info!(model.name = model.name, alias.name = name, "alias removed");
    Ok(())
}

/// Removes all aliases of a model that is being deleted.
pub(super) async fn remove_all(
    app: &App,
    transaction: &impl ConnectionTrait,
    project: &project::Model,
    model: &model::Model,
) -> Result<()> {
    for row in models::aliases(transaction, model.id).await? {
        alias::Entity::delete_by_id(row.id)
            .exec(transaction)
            .await?;
        let key = registry::key(&project.name, &model.name, &row.name);
        announce(app, transaction, key, None).await?;
    }
    Ok(())
}

/// The alias of this name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    model: &model::Model,
    name: &str,
) -> Result<alias::Model> {
    find_row(database, model.id, name)
        .await?
        .ok_or_else(|| Error::not_found("alias", &format!("{}@{name}", model.name)))
}

async fn find_row(
    database: &impl ConnectionTrait,
    model_id: Uuid,
    name: &str,
) -> Result<Option<alias::Model>> {
    Ok(alias::Entity::find()
        .filter(alias::Column::ModelId.eq(model_id))
        .filter(alias::Column::Name.eq(name))
        .one(database)
        .await?)
}

async fn keep_move(
    app: &App,
    transaction: &impl ConnectionTrait,
    row: &alias::Model,
    from: Option<Uuid>,
    to: Option<Uuid>,
    by: &str,
) -> Result<()> {
    let history = alias_move::Model {
        id: app.new_id(),
        model_id: row.model_id,
        name: row.name.clone(),
        from_version_id: from,
        to_version_id: to,
        moved_by: by.to_owned(),
        moved_at: row.moved_at,
    };
    history.into_active_model().insert(transaction).await?;
    Ok(())
}

/// Puts a registry record into the outbox.
async fn announce(
    app: &App,
    transaction: &impl ConnectionTrait,
    key: String,
    value: Option<Vec<u8>>,
) -> Result<()> {
    let control = connection::control(transaction).await?;
    let message = Message {
        connection_id: control.id,
        topic: connection::names_of(&control)?.registry(),
        partition: None,
        key,
        value,
    };
    outbox::add(app, transaction, message).await
}
