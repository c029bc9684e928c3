//! From a training's row to the specification that its function gets.

use millrace_entity::{datasource, model, project, segment, training, version};
use millrace_wire::training::TrainingSpec;
use sea_orm::{ConnectionTrait, EntityTrait};
use uuid::Uuid;

use crate::app::{
    Error, Result, connection as connections, datasource as datasources, segment as segments,
    version as versions,
};

/// Everything that a function needs to run the training.
pub(super) async fn of(
    database: &impl ConnectionTrait,
    row: &training::Model,
) -> Result<TrainingSpec> {
    let project = one::<project::Entity>(database, row.project_id).await?;
    let version = one::<version::Entity>(database, row.version_id).await?;
    let model = one::<model::Entity>(database, version.model_id).await?;
    let segment = one::<segment::Entity>(database, row.segment_id).await?;
    let source = one::<datasource::Entity>(database, segment.datasource_id).await?;
    let connection = connections::get(database, source.connection_id).await?;
    Ok(TrainingSpec {
        id: row.id,
        project: project.name,
        model: model.name,
        version: versions::wire(&version)?,
        connection: connections::properties_of(&connection)?,
        segment: segments::manifest(&segment)?,
        format: datasources::format(&source)?,
        label: datasources::label(&source)?
            .ok_or_else(|| Error::internal("a training on a datasource without a label"))?,
        hyperparameters: serde_json::from_value(row.hyperparameters.clone())
            .map_err(Error::internal)?,
        seed: row.seed.cast_unsigned(),
        dead_letter_topic: connections::names_of(&connection)?.training_dead_letter(),
    })
}

/// The row of an id that another row refers to; the database holds such references.
async fn one<E>(database: &impl ConnectionTrait, id: Uuid) -> Result<E::Model>
where
    E: EntityTrait,
    <E::PrimaryKey as sea_orm::PrimaryKeyTrait>::ValueType: From<Uuid>,
{
    E::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal("a row that another refers to is missing"))
}
