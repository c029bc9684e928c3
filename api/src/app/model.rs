//! Models: names with numbered versions.

use millrace_entity::training::{self, State};
use millrace_entity::{alias, alias_move, artifact, function_event, inference, model, version};
use millrace_onnx::layers::Layer;
use millrace_wire::name;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::samples::{self, NewSamples};
use super::version::{self as versions, Lineage};
use super::{App, Error, Result, alias as aliases, layer, project as projects};

/// What a model is made of.
#[derive(Debug)]
pub struct NewModel {
    /// The project's name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// What people should know about it.
    pub description: Option<String>,
    /// Its first version.
    pub source: Source,
}

/// What the first version is made of.
#[derive(Debug)]
pub enum Source {
    /// A description, with weights drawn from a seed.
    Layers {
        /// The shape of one record.
        input_shape: Vec<usize>,
        /// The layers.
        layers: Vec<Layer>,
        /// Of the weights.
        seed: u64,
    },
    /// An uploaded ONNX file, by its SHA-256, and what it has to answer.
    Artifact(String, Option<NewSamples>),
}

/// Makes a model and its version 1.
///
/// # Errors
/// `INVALID_INPUT`, `NOT_FOUND` for the project and the artifact, `ALREADY_EXISTS`.
pub async fn create(app: &App, new: NewModel) -> Result<(model::Model, version::Model)> {
    name::check(&new.name)?;
    let expected = match &new.source {
        Source::Artifact(digest, new) => samples::try_out(app, digest, new.as_ref()).await?,
        Source::Layers { .. } => None,
    };
    let _guard = app.artifact_guard.read().await;
    let (artifact, lineage) = match new.source {
        Source::Artifact(digest, _) => {
            let lineage = Lineage {
                samples: samples::held(app, expected.as_ref()).await?,
                ..Lineage::default()
            };
            (versions::look(app, &digest).await?, lineage)
        }
        Source::Layers {
            input_shape,
            layers,
            seed,
        } => {
            let lineage = Lineage {
                layers: Some(layer::describe(&input_shape, &layers)),
                ..Lineage::default()
            };
            let digest = layer::build(app, input_shape, layers, seed).await?;
            (versions::look(app, &digest).await?, lineage)
        }
    };
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, &new.project).await?;
    let row = model::Model {
        id: app.new_id(),
        project_id: project.id,
        name: new.name.clone(),
        description: new.description,
        next_version: 1,
        created_at: app.now(),
    };
    let row = row
        .into_active_model()
        .insert(&transaction)
        .await
        .map_err(|error| Error::unless_taken(error, "model", &new.name))?;
    let version = versions::insert(app, &transaction, &row, artifact, lineage).await?;
    let row = get(&transaction, row.id).await?;
    transaction.commit().await?;
    tracing::info!(model.name = row.name, "model created");
    Ok((row, version))
}

/// The model of this name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    project_id: Uuid,
    name: &str,
) -> Result<model::Model> {
    model::Entity::find()
        .filter(model::Column::ProjectId.eq(project_id))
        .filter(model::Column::Name.eq(name))
        .one(database)
        .await?
        .ok_or_else(|| Error::not_found("model", name))
}

/// The model with this id, which another row refers to.
///
/// # Errors
/// Only those of the database.
pub async fn get(database: &impl ConnectionTrait, id: Uuid) -> Result<model::Model> {
    model::Entity::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal(format!("the model {id} is missing")))
}

/// The same, kept from other writers until the end of the transaction.
pub(super) async fn locked(transaction: &impl ConnectionTrait, id: Uuid) -> Result<model::Model> {
    model::Entity::find_by_id(id)
        .lock_exclusive()
        .one(transaction)
        .await?
        .ok_or_else(|| Error::internal(format!("the model {id} is missing")))
}

/// Removes a model with its versions, aliases and ended trainings, and the files that no other
/// version needs.
///
/// # Errors
/// `NOT_FOUND`; `IN_USE` while an inference or a training that has not ended uses it.
pub async fn delete(app: &App, project: &str, name: &str) -> Result<()> {
    // A file must not go while somebody makes a version of it.
    let _guard = app.artifact_guard.write().await;
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let row = find(&transaction, project.id, name).await?;
    let versions = version::Entity::find()
        .filter(version::Column::ModelId.eq(row.id))
        .all(&transaction)
        .await?;
    let ids: Vec<Uuid> = versions.iter().map(|version| version.id).collect();
    check_unused(&transaction, &row, &ids).await?;
    aliases::remove_all(app, &transaction, &project, &row).await?;
    alias_move::Entity::delete_many()
        .filter(alias_move::Column::ModelId.eq(row.id))
        .exec(&transaction)
        .await?;
    let trainings: Vec<Uuid> = training::Entity::find()
        .filter(training::Column::VersionId.is_in(ids))
        .select_only()
        .column(training::Column::Id)
        .into_tuple()
        .all(&transaction)
        .await?;
    function_event::Entity::delete_many()
        .filter(function_event::Column::OwnerId.is_in(trainings.iter().copied()))
        .exec(&transaction)
        .await?;
    training::Entity::delete_many()
        .filter(training::Column::Id.is_in(trainings))
        .exec(&transaction)
        .await?;
    // Children before their parents: a version refers to the one it was trained from.
    for version in versions.iter().rev() {
        version::Entity::delete_by_id(version.id)
            .exec(&transaction)
            .await?;
    }
    model::Entity::delete_by_id(row.id)
        .exec(&transaction)
        .await?;
    let mut unused = Vec::new();
    for version in &versions {
        let users = version::Entity::find()
            .filter(version::Column::Digest.eq(&version.digest))
            .count(&transaction)
            .await?;
        if users == 0 {
            artifact::Entity::delete_by_id(&version.digest)
                .exec(&transaction)
                .await?;
            unused.push(version.digest.clone());
        }
    }
    let needed = samples::needed(&transaction).await?;
    for version in &versions {
        let expected = samples::expected(version)?;
        if let Some(expected) = expected.filter(|expected| !needed.contains(&expected.digest)) {
            artifact::Entity::delete_by_id(&expected.digest)
                .exec(&transaction)
                .await?;
            unused.push(expected.digest);
        }
    }
    transaction.commit().await?;
    app.outbox.wake();
    unused.sort_unstable();
    unused.dedup();
    for digest in unused {
        match app.artifacts.delete(&digest).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(artifact.digest = digest, error = %error, "a file that nothing needs stays");
            }
        }
    }
    tracing::info!(model.name = name, "model deleted");
    Ok(())
}

async fn check_unused(
    database: &impl ConnectionTrait,
    row: &model::Model,
    versions: &[Uuid],
) -> Result<()> {
    let inferences = inference::Entity::find()
        .filter(inference::Column::ModelId.eq(row.id))
        .all(database)
        .await?;
    let mut users: Vec<String> = inferences
        .iter()
        .map(|inference| format!("the inference {:?}", inference.name))
        .collect();
    let trainings = training::Entity::find()
        .filter(training::Column::VersionId.is_in(versions.iter().copied()))
        .filter(training::Column::State.is_in([State::Pending, State::Deploying, State::Running]))
        .count(database)
        .await?;
    if trainings > 0 {
        users.push(format!("{trainings} trainings that have not ended"));
    }
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::in_use("model", &row.name, &users))
}

/// The aliases of a model, by name.
///
/// # Errors
/// The database's.
pub async fn aliases(database: &impl ConnectionTrait, model_id: Uuid) -> Result<Vec<alias::Model>> {
    use sea_orm::QueryOrder as _;
    Ok(alias::Entity::find()
        .filter(alias::Column::ModelId.eq(model_id))
        .order_by_asc(alias::Column::Name)
        .all(database)
        .await?)
}
