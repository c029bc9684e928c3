//! Models: the object and its mutations.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{model as rows, version as version_rows};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::alias::Alias;
use super::context::Find as _;
use super::layer::LayerInput;
use super::samples::SamplesInput;
use super::version::Version;
use super::{GlobalId, Long, Page, PageArguments, optional, report};
use crate::app::model::{self, NewModel, Source};
use crate::app::samples::NewSamples;
use crate::app::version::{self, Selector};
use crate::app::{Code, Error};

/// A name with numbered versions and movable aliases.
pub struct Model(pub rows::Model);

#[Object]
impl Model {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Model", self.0.id)
    }

    /// Unique within the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What people should know about it.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Its versions, oldest first.
    async fn versions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Version>> {
        let select =
            version_rows::Entity::find().filter(version_rows::Column::ModelId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Version)
            .await
    }

    /// The version with this number.
    async fn version(&self, context: &Context<'_>, number: i32) -> Result<Option<Version>> {
        let selector = Selector::Number(number);
        let found = version::select(&context.app().database, &self.0, &selector).await;
        Ok(optional(found)?.map(Version))
    }

    /// The newest version.
    async fn latest_version(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let found = version::select(&context.app().database, &self.0, &Selector::Latest).await;
        Ok(optional(found)?.map(Version))
    }

    /// Its aliases, by name.
    async fn aliases(&self, context: &Context<'_>) -> Result<Vec<Alias>> {
        let rows = model::aliases(&context.app().database, self.0.id).await;
        Ok(rows.map_err(report)?.into_iter().map(Alias).collect())
    }

    /// The alias of this name.
    async fn alias(&self, context: &Context<'_>, name: String) -> Result<Option<Alias>> {
        let found = crate::app::alias::find(&context.app().database, &self.0, &name).await;
        Ok(optional(found)?.map(Alias))
    }
}

/// Mutations of models and versions.
#[derive(Default)]
pub struct ModelMutation;

/// What a model is made of: `layers` with `inputShape`, or `artifact`.
#[derive(InputObject)]
pub struct CreateModelInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// Its name, unique within the project.
    name: String,
    /// What people should know about it.
    description: Option<String>,
    /// The layers, the first one first.
    layers: Option<Vec<LayerInput>>,
    /// The shape of one record, for `layers`; that of an image is [channels, height, width].
    input_shape: Option<Vec<i32>>,
    /// Seed of the weights, for `layers`.
    #[graphql(default_with = "Long(0)")]
    seed: Long,
    /// The SHA-256 of an ONNX file that was uploaded by `PUT /artifacts/{sha256}`.
    artifact: Option<String>,
    /// What the version has to answer, for `artifact`.
    samples: Option<SamplesInput>,
}

/// The new model.
#[derive(SimpleObject)]
pub struct CreateModelPayload {
    /// The new model.
    model: Model,
    /// Its version 1.
    version: Version,
}

/// What a version is made of.
#[derive(InputObject)]
pub struct CreateVersionInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// The model's name.
    model: String,
    /// The SHA-256 of an ONNX file that was uploaded by `PUT /artifacts/{sha256}`.
    artifact: String,
    /// What the version has to answer.
    samples: Option<SamplesInput>,
}

/// The new version.
#[derive(SimpleObject)]
pub struct CreateVersionPayload {
    /// The new version.
    version: Version,
}

/// Which model to delete.
#[derive(InputObject)]
pub struct DeleteModelInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// Its name.
    name: String,
}

/// What was deleted.
#[derive(SimpleObject)]
pub struct DeleteModelPayload {
    /// Its name.
    name: String,
}

#[Object]
impl ModelMutation {
    /// Makes a model and its version 1.
    async fn create_model(
        &self,
        context: &Context<'_>,
        input: CreateModelInput,
    ) -> Result<CreateModelPayload> {
        let new = input.into_model().map_err(report)?;
        let (model, version) = model::create(context.app(), new).await.map_err(report)?;
        Ok(CreateModelPayload {
            model: Model(model),
            version: Version(version),
        })
    }

    /// Makes the next version of a model of an uploaded file; one that does not give what its samples expect is refused.
    async fn create_version(
        &self,
        context: &Context<'_>,
        input: CreateVersionInput,
    ) -> Result<CreateVersionPayload> {
        let samples = input.samples.map(NewSamples::from);
        let made = version::create(
            context.app(),
            &input.project,
            &input.model,
            &input.artifact,
            samples.as_ref(),
        );
        Ok(CreateVersionPayload {
            version: Version(made.await.map_err(report)?),
        })
    }

    /// Deletes a model that nothing uses, with its versions, aliases and ended trainings.
    async fn delete_model(
        &self,
        context: &Context<'_>,
        input: DeleteModelInput,
    ) -> Result<DeleteModelPayload> {
        let deleted = model::delete(context.app(), &input.project, &input.name).await;
        deleted.map_err(report)?;
        Ok(DeleteModelPayload { name: input.name })
    }
}

impl CreateModelInput {
    fn into_model(self) -> Result<NewModel, Error> {
        let source = match (self.layers, self.input_shape, self.artifact) {
            (Some(layers), Some(input_shape), None) if self.samples.is_none() => Source::Layers {
                input_shape: input_shape
                    .into_iter()
                    .map(size)
                    .collect::<Result<_, _>>()?,
                layers: (1..)
                    .zip(layers)
                    .map(|(number, layer)| layer.into_layer(number))
                    .collect::<Result<_, _>>()?,
                seed: self.seed.0.cast_unsigned(),
            },
            (None, None, Some(digest)) => {
                Source::Artifact(digest, self.samples.map(NewSamples::from))
            }
            _ => {
                return Err(Error::new(
                    Code::InvalidInput,
                    "give either `layers` with `inputShape`, or `artifact`, which may have `samples`",
                ));
            }
        };
        Ok(NewModel {
            project: self.project,
            name: self.name,
            description: self.description,
            source,
        })
    }
}

fn size(number: i32) -> Result<usize, Error> {
    usize::try_from(number).map_err(|_| {
        Error::new(
            Code::InvalidInput,
            format!("inputShape has a {number}: give sizes of at least 1"),
        )
    })
}
