//! Mutations of inferences.

use async_graphql::{Context, Object, Result};

use super::Inference;
use super::beside::{
    ReplayInferenceInput, ReplayInferencePayload, RescoreInferenceInput, RescoreInferencePayload,
};
use super::input::{
    CreateInferenceInput, CreateInferencePayload, DeleteInferenceInput, DeleteInferencePayload,
    MoveInferenceInput, MoveInferencePayload, ScaleInferenceInput, ScaleInferencePayload,
    StartInferenceInput, StartInferencePayload, StopInferenceInput, StopInferencePayload,
};
use crate::app::inference;
use crate::graphql::context::Find as _;
use crate::graphql::report;

/// Mutations of inferences.
#[derive(Default)]
pub struct InferenceMutation;

#[Object]
impl InferenceMutation {
    /// Makes an inference. Where it begins is fixed at this moment; its functions start afterwards.
    async fn create_inference(
        &self,
        context: &Context<'_>,
        input: CreateInferenceInput,
    ) -> Result<CreateInferencePayload> {
        let project = input.project.clone();
        let new = input.into_new().map_err(report)?;
        let row = inference::create(context.app(), &project, new)
            .await
            .map_err(report)?;
        Ok(CreateInferencePayload {
            inference: Inference(row),
        })
    }

    /// Makes an inference that answers a part of another one's input once more, beside it, and ends with it.
    async fn replay_inference(
        &self,
        context: &Context<'_>,
        input: ReplayInferenceInput,
    ) -> Result<ReplayInferencePayload> {
        let project = input.project.clone();
        let (beside, extent) = input.into_replay().map_err(report)?;
        let row = inference::replay(context.app(), &project, beside, extent)
            .await
            .map_err(report)?;
        Ok(ReplayInferencePayload {
            inference: Inference(row),
        })
    }

    /// Makes an inference that answers everything from a place on once more, with a new version, and takes another one's
    /// place when it has got as far: that one is stopped, and this one goes on exactly there.
    async fn rescore_inference(
        &self,
        context: &Context<'_>,
        input: RescoreInferenceInput,
    ) -> Result<RescoreInferencePayload> {
        let project = input.project.clone();
        let (beside, start) = input.into_rescore().map_err(report)?;
        let row = inference::rescore(context.app(), &project, beside, start)
            .await
            .map_err(report)?;
        Ok(RescoreInferencePayload {
            inference: Inference(row),
        })
    }

    /// Ends an inference's functions and saves its offsets.
    async fn stop_inference(
        &self,
        context: &Context<'_>,
        input: StopInferenceInput,
    ) -> Result<StopInferencePayload> {
        let row = inference::stop(context.app(), &input.project, &input.name)
            .await
            .map_err(report)?;
        Ok(StopInferencePayload {
            inference: Inference(row),
        })
    }

    /// Starts an inference again: where it was stopped, unless `start` says where.
    async fn start_inference(
        &self,
        context: &Context<'_>,
        input: StartInferenceInput,
    ) -> Result<StartInferencePayload> {
        let elsewhere = input.start.map(Into::into);
        let row = inference::start(context.app(), &input.project, &input.name, elsewhere)
            .await
            .map_err(report)?;
        Ok(StartInferencePayload {
            inference: Inference(row),
        })
    }

    /// Takes an inference to another platform, or gives its platform other options. What runs ends in order, and goes on
    /// there exactly where it ended, as does what has failed; one that is stopped is there when it is started.
    async fn move_inference(
        &self,
        context: &Context<'_>,
        input: MoveInferenceInput,
    ) -> Result<MoveInferencePayload> {
        let (project, name) = (input.project.clone(), input.name.clone());
        let row = inference::move_to(context.app(), &project, &name, |row| input.destination(row))
            .await
            .map_err(report)?;
        Ok(MoveInferencePayload {
            inference: Inference(row),
        })
    }

    /// Gives an inference another number of functions.
    async fn scale_inference(
        &self,
        context: &Context<'_>,
        input: ScaleInferenceInput,
    ) -> Result<ScaleInferencePayload> {
        let row = inference::scale(context.app(), &input.project, &input.name, input.replicas)
            .await
            .map_err(report)?;
        Ok(ScaleInferencePayload {
            inference: Inference(row),
        })
    }

    /// Deletes an inference, with the topics and the consumer group that Millrace made for it, and
    /// nothing else.
    async fn delete_inference(
        &self,
        context: &Context<'_>,
        input: DeleteInferenceInput,
    ) -> Result<DeleteInferencePayload> {
        inference::delete(context.app(), &input.project, &input.name)
            .await
            .map_err(report)?;
        Ok(DeleteInferencePayload { name: input.name })
    }
}
