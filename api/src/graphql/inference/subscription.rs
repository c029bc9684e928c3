//! The subscription to an inference. It begins with what is now, so a client needs no query beside it.

use async_graphql::{Context, Result, Subscription};
use futures::{Stream, StreamExt as _};
use millrace_entity::inference as rows;
use sea_orm::EntityTrait as _;
use tokio_stream::wrappers::BroadcastStream;
use uuid::Uuid;

use super::Inference;
use crate::app::{App, Change, inference, project};
use crate::graphql::context::Find as _;
use crate::graphql::report;

/// Subscriptions to inferences.
#[derive(Default)]
pub struct InferenceSubscription;

#[Subscription]
impl InferenceSubscription {
    /// An inference as it is now, then after each change; ends when it is gone.
    async fn inference_changed(
        &self,
        context: &Context<'_>,
        name: String,
        #[graphql(default = "default")] project: String,
    ) -> Result<impl Stream<Item = Result<Inference>> + use<>> {
        let app = context.app().clone();
        // Listening begins before the row is read, so that no change falls between.
        let changes = BroadcastStream::new(app.changes.subscribe());
        let found = async {
            let project = project::find(&app.database, &project).await?;
            inference::find(&app.database, project.id, &name).await
        };
        let first = found.await.map_err(report)?;
        let id = first.id;
        let later = changes
            // A listener that fell behind has missed something: the row tells what matters.
            .filter(move |change| {
                let concerned = matches!(
                    change,
                    Ok(Change::Inference(other) | Change::Counts(other)) if *other == id
                );
                std::future::ready(concerned || change.is_err())
            })
            .then(move |_| read(app.clone(), id))
            .take_while(|row| std::future::ready(!matches!(row, Ok(None))))
            .filter_map(|row| std::future::ready(row.transpose()));
        let first = futures::stream::once(std::future::ready(Ok(first)));
        Ok(first.chain(later).map(|row| row.map(Inference)))
    }
}

async fn read(app: App, id: Uuid) -> Result<Option<rows::Model>> {
    let row = rows::Entity::find_by_id(id).one(&app.database).await;
    row.map_err(|error| report(error.into()))
}
