//! The subscription to a training's progress. It begins with what has happened so far and ends
//! when the training has ended, so a client needs no query beside it.

use async_graphql::{Context, ID, Result, SimpleObject, Subscription};
use futures::Stream;
use millrace_entity::training as rows;
use sea_orm::EntityTrait as _;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::{Epoch, Training};
use crate::app::training::state;
use crate::app::{App, Change, Code, Error};
use crate::graphql::context::Find as _;
use crate::graphql::{GlobalId, report};

/// Subscriptions to trainings.
#[derive(Default)]
pub struct TrainingSubscription;

/// One step of a training.
#[derive(SimpleObject)]
pub struct TrainingProgress {
    /// The training as it is now.
    training: Training,
    /// An epoch that was not told before; null if only the training itself changed.
    epoch: Option<Epoch>,
}

#[Subscription]
impl TrainingSubscription {
    /// What a training does: the epochs so far, then each new one and each change of its state.
    /// Ends when the training has ended.
    async fn training_progress(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<impl Stream<Item = Result<TrainingProgress>> + use<>> {
        let app = context.app().clone();
        let id = GlobalId::expect(&id, "Training").map_err(report)?;
        let mut watcher = Watcher {
            changes: app.changes.subscribe(),
            app,
            id,
            told: 0,
        };
        let first = watcher.look().await.map_err(report)?;
        Ok(async_stream(watcher, first))
    }
}

/// What a subscriber has been told so far.
struct Watcher {
    app: App,
    id: Uuid,
    changes: tokio::sync::broadcast::Receiver<Change>,
    told: i32,
}

impl Watcher {
    /// The present state, with every epoch not told yet.
    async fn look(&mut self) -> Result<Vec<TrainingProgress>, Error> {
        let row = rows::Entity::find_by_id(self.id)
            .one(&self.app.database)
            .await?
            .ok_or_else(|| Error::new(Code::NotFound, "there is no such training"))?;
        let epochs = Epoch::since(&self.app, self.id, self.told).await?;
        let told = i32::try_from(epochs.len()).map_err(Error::internal)?;
        self.told += told;
        let training = Training(row);
        if epochs.is_empty() {
            return Ok(vec![TrainingProgress {
                training,
                epoch: None,
            }]);
        }
        Ok(epochs
            .into_iter()
            .map(|epoch| TrainingProgress {
                training: training.clone(),
                epoch: Some(epoch),
            })
            .collect())
    }

    /// Waits until the training has changed, or until some changes were missed.
    async fn changed(&mut self) -> bool {
        loop {
            match self.changes.recv().await {
                Ok(Change::Training(id)) if id == self.id => return true,
                Err(RecvError::Lagged(_)) => return true,
                Ok(_) => {}
                Err(RecvError::Closed) => return false,
            }
        }
    }
}

fn async_stream(
    watcher: Watcher,
    first: Vec<TrainingProgress>,
) -> impl Stream<Item = Result<TrainingProgress>> {
    let is_over = |progress: &[TrainingProgress]| {
        let last = progress.last();
        last.is_some_and(|progress| state::is_final(progress.training.0.state))
    };
    let batches = futures::stream::unfold(Some((watcher, Some(first))), move |state| async move {
        let (mut watcher, first) = state?;
        let batch = match first {
            Some(first) => Ok(first),
            None if watcher.changed().await => watcher.look().await.map_err(report),
            None => return None,
        };
        let go_on = matches!(&batch, Ok(progress) if !is_over(progress));
        Some((batch, go_on.then_some((watcher, None))))
    });
    futures::StreamExt::flat_map(batches, |batch| {
        let items: Vec<Result<TrainingProgress>> = match batch {
            Ok(progress) => progress.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(items)
    })
}
