//! Versions: the object.

use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{alias as alias_rows, version as rows};
use millrace_wire::{event, signature};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::class_report::ClassReport;
use super::context::Find as _;
use super::loader::{ModelId, SegmentId, TrainingId, VersionId};
use super::model::Model;
use super::samples::Samples;
use super::segment::Segment;
use super::training::Training;
use super::{GlobalId, Long, report};
use crate::app::{Error, samples, version};

/// An ONNX file with a number: it never changes.
pub struct Version(pub rows::Model);

/// What a model takes and gives.
#[derive(SimpleObject)]
pub struct Signature {
    /// What it takes.
    inputs: Vec<TensorInfo>,
    /// What it gives.
    outputs: Vec<TensorInfo>,
}

/// One input or output.
#[derive(SimpleObject)]
pub struct TensorInfo {
    /// Its name in the graph.
    name: String,
    /// The element type, by numpy's names.
    #[graphql(name = "type")]
    element_type: String,
    /// One entry a dimension: a size, a name for a free one, or null.
    shape: Json<Vec<signature::Dimension>>,
    /// All of it, as people write it: `input: float32 [batch, 64]`.
    text: String,
}

/// What can be trained of a version.
#[derive(SimpleObject)]
pub struct Trainability {
    /// Whether it can be trained, on records whose shape gives sizes to the dimensions that it leaves open.
    possible: bool,
    /// What stands in the way.
    reasons: Vec<String>,
    /// Numbers that a training would change.
    parameters: Long,
}

impl From<signature::Tensor> for TensorInfo {
    fn from(tensor: signature::Tensor) -> Self {
        let text = format!(
            "{}: {} {}",
            tensor.name,
            tensor.element_type,
            tensor.shape_text()
        );
        Self {
            name: tensor.name,
            element_type: tensor.element_type,
            shape: Json(tensor.shape),
            text,
        }
    }
}

#[Object]
impl Version {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Version", self.0.id)
    }

    /// Its number within the model, from 1, never reused.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// SHA-256 of the ONNX file.
    async fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Bytes of the ONNX file.
    async fn size(&self) -> Long {
        self.0.size.into()
    }

    /// Where the API serves the file.
    async fn uri(&self) -> String {
        format!("/artifacts/{}", self.0.digest)
    }

    /// What it takes and gives.
    async fn signature(&self) -> Result<Signature> {
        let signature = version::signature(&self.0).map_err(report)?;
        Ok(Signature {
            inputs: signature.inputs.into_iter().map(Into::into).collect(),
            outputs: signature.outputs.into_iter().map(Into::into).collect(),
        })
    }

    /// The layers that it was described by.
    async fn layers(&self) -> Option<Json<&serde_json::Value>> {
        self.0.layers.as_ref().map(Json)
    }

    /// What its training reported at its end.
    async fn metrics(&self) -> Option<Json<&serde_json::Value>> {
        self.0.metrics.as_ref().map(Json)
    }

    /// What the test part of its training's segment says of each class, where there are classes.
    #[graphql(name = "report")]
    async fn class_report(&self) -> Result<Option<ClassReport>> {
        let Some(stored) = self.0.report.clone() else {
            return Ok(None);
        };
        let found: event::ClassReport =
            serde_json::from_value(stored).map_err(|error| report(Error::internal(error)))?;
        Ok(Some(found.into()))
    }

    /// With what its training's steps were computed: the processor's instructions and the lowering (`avx512/fast`). More
    /// than one where the training went on on another machine: one of them alone would not make the same bytes.
    async fn computed_on(&self) -> Result<Vec<String>> {
        let stored = self.0.computed_on.clone();
        let found = stored.map(serde_json::from_value).transpose();
        let found = found.map_err(|error| report(Error::internal(error)))?;
        Ok(found.unwrap_or_default())
    }

    /// What it has to answer on each machine before it takes traffic there; null without such samples.
    async fn samples(&self) -> Result<Option<Samples>> {
        let expected = samples::expected(&self.0).map_err(report)?;
        Ok(expected.map(Into::into))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Its model.
    async fn model(&self, context: &Context<'_>) -> Result<Model> {
        let row = context.rows().load_one(ModelId(self.0.model_id)).await?;
        row.map(Model)
            .ok_or_else(|| report(Error::internal("a version without its model")))
    }

    /// The version that it was trained from.
    async fn parent(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(id) = self.0.parent_id else {
            return Ok(None);
        };
        Ok(context.rows().load_one(VersionId(id)).await?.map(Version))
    }

    /// The training that made it.
    async fn training(&self, context: &Context<'_>) -> Result<Option<Training>> {
        let Some(id) = self.0.training_id else {
            return Ok(None);
        };
        Ok(context.rows().load_one(TrainingId(id)).await?.map(Training))
    }

    /// The records that it was trained on.
    async fn segment(&self, context: &Context<'_>) -> Result<Option<Segment>> {
        let Some(id) = self.0.segment_id else {
            return Ok(None);
        };
        Ok(context.rows().load_one(SegmentId(id)).await?.map(Segment))
    }

    /// The aliases that point at it, by name.
    async fn aliases(&self, context: &Context<'_>) -> Result<Vec<String>> {
        let rows = alias_rows::Entity::find()
            .filter(alias_rows::Column::VersionId.eq(self.0.id))
            .order_by_asc(alias_rows::Column::Name)
            .all(&context.app().database)
            .await
            .map_err(|error| report(error.into()))?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }

    /// What can be trained of it.
    async fn trainable(&self, context: &Context<'_>) -> Result<Trainability> {
        let found = version::trainability(context.app(), &self.0, None, &[]).await;
        let found = found.map_err(report)?;
        Ok(Trainability {
            possible: found.reasons.is_empty(),
            reasons: found.reasons,
            parameters: found.parameters.into(),
        })
    }
}
