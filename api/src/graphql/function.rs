//! Functions: what platforms run now.

use async_graphql::{Context, Enum, ID, Object, Result};
use chrono::{DateTime, Utc};

use super::context::Find as _;
use super::inference::Inference;
use super::loader::InferenceId;
use crate::platform::{Owner, State, Status};

/// What a platform runs for one training pool or one inference.
pub struct Function(pub Status);

/// What a function is for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// It trains what comes as a command.
    Training,
    /// It is a replica of one inference.
    Inference,
}

/// How a function is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "State")]
pub enum FunctionState {
    /// It has been started and is not ready yet.
    Starting,
    /// It said that it is ready.
    Running,
    /// It ended by itself and is started again after a pause.
    BackingOff,
    /// It is not started again by itself.
    Stopped,
}

#[Object]
impl Function {
    /// Stays the same as long as the replica is wanted.
    async fn id(&self) -> ID {
        match self.0.owner {
            Owner::TrainingPool => ID(format!("training-{}", self.0.ordinal)),
            Owner::Inference(id) => ID(format!("inference-{id}-{}", self.0.ordinal)),
        }
    }

    /// What it is for.
    async fn kind(&self) -> FunctionKind {
        match self.0.owner {
            Owner::TrainingPool => FunctionKind::Training,
            Owner::Inference(_) => FunctionKind::Inference,
        }
    }

    /// The platform that runs it.
    async fn platform(&self) -> &'static str {
        self.0.platform
    }

    /// Which replica it is, from 0.
    async fn ordinal(&self) -> u32 {
        self.0.ordinal
    }

    /// How it is.
    async fn state(&self) -> FunctionState {
        self.0.state.into()
    }

    /// Its process, where it has one.
    async fn process_id(&self) -> Option<u32> {
        self.0.process_id
    }

    /// Where its probes and metrics are.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// How often it was started again.
    async fn restarts(&self) -> u32 {
        self.0.restarts
    }

    /// When its present process was started.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    /// How its last process ended.
    async fn last_exit(&self) -> Option<&str> {
        self.0.last_exit.as_deref()
    }

    /// The last lines that it said, oldest first.
    async fn log(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "At most so many, up to 1000.", default = 100)] last: u32,
    ) -> Vec<String> {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        match context.app().platforms.named(self.0.platform) {
            Some(platform) => platform.log(self.0.owner, self.0.ordinal, last).await,
            None => Vec::new(),
        }
    }

    /// The inference that it is a replica of.
    async fn inference(&self, context: &Context<'_>) -> Result<Option<Inference>> {
        let Owner::Inference(id) = self.0.owner else {
            return Ok(None);
        };
        let row = context.rows().load_one(InferenceId(id)).await?;
        Ok(row.map(Inference))
    }
}

/// The functions that `wanted` picks.
pub(super) async fn functions(
    context: &Context<'_>,
    wanted: impl Fn(Owner) -> bool,
) -> Vec<Function> {
    let all = context.app().platforms.functions().await;
    all.into_iter()
        .filter(|status| wanted(status.owner))
        .map(Function)
        .collect()
}
