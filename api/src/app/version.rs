//! Versions of models: numbered 1, 2, 3 …, never reused, never changed.

use std::collections::BTreeMap;

use millrace_entity::{alias, artifact, model, training, version};
use millrace_onnx::{Dim, Inspection, StepOptions, Target};
use millrace_wire::event::ClassReport;
use millrace_wire::registry;
use millrace_wire::samples::Expected;
use millrace_wire::signature::{Dimension, Signature, Tensor};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use super::samples::{self, NewSamples};
use super::{
    App, Code, Error, Result, artifact as artifacts, model as models, project as projects,
};

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The newest.
    Latest,
    /// The one with this number.
    Number(i32),
    /// The one that this alias points at.
    Alias(String),
}

/// Where a version comes from.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    pub layers: Option<serde_json::Value>,
    pub parent_id: Option<Uuid>,
    pub training_id: Option<Uuid>,
    pub segment_id: Option<Uuid>,
    pub metrics: Option<serde_json::Value>,
    pub report: Option<serde_json::Value>,
    pub computed_on: Option<serde_json::Value>,
    pub samples: Option<serde_json::Value>,
}

/// An ONNX file in the artifact store, looked at.
#[derive(Debug)]
pub(super) struct Artifact {
    pub digest: String,
    pub size: i64,
    pub signature: Signature,
}

/// What a training made.
pub(super) struct Trained<'a> {
    pub training: &'a training::Model,
    pub digest: &'a str,
    pub size: u64,
    pub metrics: &'a BTreeMap<String, f64>,
    pub report: Option<&'a ClassReport>,
    pub computed_on: &'a [String],
    pub samples: Option<&'a Expected>,
}

/// What can be trained of a version.
#[derive(Debug)]
pub struct Trainability {
    /// Elements of all parameters.
    pub parameters: u64,
    /// What stands in the way; empty if nothing does.
    pub reasons: Vec<String>,
}

/// Makes the next version of a model of an uploaded file, which has to answer samples where there are some.
///
/// # Errors
/// `NOT_FOUND` for the model and for the files, `INVALID_INPUT` for what is not a model, and those of samples.
pub async fn create(
    app: &App,
    project: &str,
    model: &str,
    digest: &str,
    samples: Option<&NewSamples>,
) -> Result<version::Model> {
    let of_project = projects::find(&app.database, project).await?;
    models::find(&app.database, of_project.id, model).await?;
    let expected = samples::try_out(app, digest, samples).await?;
    let _guard = app.artifact_guard.read().await;
    let artifact = look(app, digest).await?;
    let lineage = Lineage {
        samples: samples::held(app, expected.as_ref()).await?,
        ..Lineage::default()
    };
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let model = models::find(&transaction, project.id, model).await?;
    let row = insert(app, &transaction, &model, artifact, lineage).await?;
    transaction.commit().await?;
    tracing::info!(
        model.name = model.name,
        version.number = row.number,
        "version created"
    );
    Ok(row)
}

/// Makes the version that a training reported. Its signature is its parent's.
pub(super) async fn create_from_training(
    app: &App,
    transaction: &impl ConnectionTrait,
    trained: Trained<'_>,
) -> Result<version::Model> {
    // The caller holds the artifact guard, so what is there now stays.
    if !app.artifacts.exists(trained.digest).await? {
        return Err(Error::new(
            Code::NotFound,
            format!(
                "the file {} of the trained model is not in the artifact store; train again",
                trained.digest
            ),
        ));
    }
    if let Some(samples) = trained.samples {
        artifacts::record(app, transaction, &samples.digest, samples.size).await?;
    }
    let parent = get(transaction, trained.training.version_id).await?;
    let model = models::get(transaction, parent.model_id).await?;
    let artifact = Artifact {
        digest: trained.digest.to_owned(),
        size: trained.size.cast_signed(),
        signature: signature(&parent)?,
    };
    let lineage = Lineage {
        layers: parent.layers,
        parent_id: Some(parent.id),
        training_id: Some(trained.training.id),
        segment_id: Some(trained.training.segment_id),
        metrics: Some(serde_json::to_value(trained.metrics).map_err(Error::internal)?),
        report: trained
            .report
            .map(serde_json::to_value)
            .transpose()
            .map_err(Error::internal)?,
        computed_on: Some(trained.computed_on.into()),
        // What its parent answered is not what it shall answer.
        samples: samples::held(app, trained.samples).await?,
    };
    insert(app, transaction, &model, artifact, lineage).await
}

/// Gives a file the model's next number.
pub(super) async fn insert(
    app: &App,
    transaction: &impl ConnectionTrait,
    model: &model::Model,
    artifact: Artifact,
    lineage: Lineage,
) -> Result<version::Model> {
    let file = artifact::Model {
        digest: artifact.digest.clone(),
        size: artifact.size,
        created_at: app.now(),
    };
    artifact::Entity::insert(file.into_active_model())
        .on_conflict_do_nothing_on([artifact::Column::Digest])
        .exec(transaction)
        .await?;
    // Read again, and locked: another version may have taken the number that the caller's row
    // names, or be about to take the same one.
    let number = models::locked(transaction, model.id).await?.next_version;
    let mut counter = model.clone().into_active_model();
    counter.next_version = Set(number + 1);
    counter.update(transaction).await?;
    let row = version::Model {
        id: app.new_id(),
        model_id: model.id,
        number,
        digest: artifact.digest,
        size: artifact.size,
        signature: serde_json::to_value(&artifact.signature).map_err(Error::internal)?,
        layers: lineage.layers,
        parent_id: lineage.parent_id,
        training_id: lineage.training_id,
        segment_id: lineage.segment_id,
        metrics: lineage.metrics,
        report: lineage.report,
        computed_on: lineage.computed_on,
        samples: lineage.samples,
        created_at: app.now(),
    };
    Ok(row.into_active_model().insert(transaction).await?)
}

/// The version that a selector means.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn select(
    database: &impl ConnectionTrait,
    model: &model::Model,
    selector: &Selector,
) -> Result<version::Model> {
    let of_model = version::Entity::find().filter(version::Column::ModelId.eq(model.id));
    let found = match selector {
        Selector::Latest => {
            of_model
                .order_by_desc(version::Column::Number)
                .one(database)
                .await?
        }
        Selector::Number(number) => {
            of_model
                .filter(version::Column::Number.eq(*number))
                .one(database)
                .await?
        }
        Selector::Alias(name) => {
            let pointer = alias::Entity::find()
                .filter(alias::Column::ModelId.eq(model.id))
                .filter(alias::Column::Name.eq(name))
                .one(database)
                .await?
                .ok_or_else(|| Error::not_found("alias", &format!("{}@{name}", model.name)))?;
            Some(get(database, pointer.version_id).await?)
        }
    };
    found.ok_or_else(|| {
        let wanted = match selector {
            Selector::Number(number) => format!("version {number}"),
            Selector::Latest | Selector::Alias(_) => "version".to_owned(),
        };
        Error::new(
            Code::NotFound,
            format!("the model {:?} has no {wanted}", model.name),
        )
    })
}

/// The version with this id, which another row refers to.
///
/// # Errors
/// Only those of the database.
pub async fn get(database: &impl ConnectionTrait, id: Uuid) -> Result<version::Model> {
    version::Entity::find_by_id(id)
        .one(database)
        .await?
        .ok_or_else(|| Error::internal(format!("the version {id} is missing")))
}

/// The signature of a row.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn signature(row: &version::Model) -> Result<Signature> {
    serde_json::from_value(row.signature.clone()).map_err(Error::internal)
}

/// A version as functions need it.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn wire(row: &version::Model) -> Result<registry::Version> {
    Ok(registry::Version {
        version: u32::try_from(row.number).map_err(Error::internal)?,
        digest: row.digest.clone(),
        size: row.size.cast_unsigned(),
        signature: signature(row)?,
        samples: samples::expected(row)?,
    })
}

/// What can be trained of a version, on records of these shapes where there are some.
///
/// # Errors
/// Those of the artifact store, and `INVALID_INPUT` for a file that is not a model after all.
pub async fn trainability(
    app: &App,
    row: &version::Model,
    prediction: Option<&str>,
    shapes: &[(String, Vec<usize>)],
) -> Result<Trainability> {
    let sized = inspect(app, &row.digest).await?.with_shapes(shapes);
    let check = sized.and_then(|sized| sized.check(prediction));
    let check = match check {
        Ok(check) => check,
        Err(error) => {
            return Ok(Trainability {
                parameters: 0,
                reasons: vec![error.to_string()],
            });
        }
    };
    let elements = |dims: &[usize]| dims.iter().product::<usize>() as u64;
    // A training gives it the sizes of its records.
    let awaits_records = shapes.is_empty() && check.awaits_sizes();
    let obstacles = check.obstacles.iter().filter(|_| !awaits_records);
    let mut reasons: Vec<String> = obstacles.map(ToString::to_string).collect();
    if reasons.is_empty() && !awaits_records && !check.trainable() {
        reasons.push("the model has no parameter that could be trained".to_owned());
    }
    Ok(Trainability {
        parameters: check
            .parameters
            .iter()
            .map(|(_, dims)| elements(dims))
            .sum(),
        reasons,
    })
}

/// What a training with these options learns of a version from records of these shapes.
///
/// # Errors
/// `INVALID_INPUT` where an option does not fit the model, and those of the artifact store.
pub(super) async fn targets(
    app: &App,
    row: &version::Model,
    shapes: &[(String, Vec<usize>)],
    options: StepOptions,
) -> Result<Vec<Target>> {
    let sized = inspect(app, &row.digest).await?.with_shapes(shapes)?;
    Ok(sized.targets(&options)?)
}

/// Looks at a file in the artifact store without holding its weights.
pub(super) async fn look(app: &App, digest: &str) -> Result<Artifact> {
    artifacts::check_there(app, digest).await?;
    let size = app.artifacts.size(digest).await?;
    let inspection = inspect(app, digest).await?;
    Ok(Artifact {
        digest: digest.to_owned(),
        size: size.cast_signed(),
        signature: wire_signature(&inspection.signature),
    })
}

/// The structure of a file in the artifact store; its weights are passed over.
async fn inspect(app: &App, digest: &str) -> Result<Inspection> {
    artifacts::inspect(app.artifacts.local_file(digest).await?).await
}

/// A signature as it travels. What is not a tensor keeps its name.
fn wire_signature(signature: &millrace_onnx::Signature) -> Signature {
    let tensor = |info: &millrace_onnx::TensorInfo| Tensor {
        name: info.name.clone(),
        element_type: info.element.to_string(),
        shape: info.dims.iter().flatten().map(dimension).collect(),
    };
    Signature {
        inputs: signature.inputs.iter().map(tensor).collect(),
        outputs: signature.outputs.iter().map(tensor).collect(),
        others: Some(signature.non_tensors.clone()),
    }
}

fn dimension(dim: &Dim) -> Dimension {
    match dim {
        Dim::Fixed(size) => Dimension::Fixed(*size),
        Dim::Symbolic(name) => Dimension::Symbolic(name.clone()),
        Dim::Unknown => Dimension::Unknown(()),
    }
}

impl From<millrace_onnx::Error> for Error {
    fn from(error: millrace_onnx::Error) -> Self {
        Self::new(Code::InvalidInput, error.to_string())
    }
}
