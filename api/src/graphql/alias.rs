//! Aliases: the object, its mutations, and the subscription to its moves.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures::Stream;
use millrace_entity::{alias as rows, alias_move as move_rows, model as model_rows};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use tokio::sync::broadcast::error::RecvError;

use super::context::Find as _;
use super::loader::VersionId;
use super::version::Version;
use super::{GlobalId, Page, PageArguments, report};
use crate::app::{Change, Error, alias, model, project};

/// A name that points at a version of a model.
pub struct Alias(pub rows::Model);

/// One move of an alias.
pub struct AliasMove(pub move_rows::Model);

#[Object]
impl Alias {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Alias", self.0.id)
    }

    /// Unique within the model.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it points at.
    async fn version(&self, context: &Context<'_>) -> Result<Version> {
        let row = context
            .rows()
            .load_one(VersionId(self.0.version_id))
            .await?;
        row.map(Version)
            .ok_or_else(|| report(Error::internal("an alias without its version")))
    }

    /// When it was moved last.
    async fn moved_at(&self) -> DateTime<Utc> {
        self.0.moved_at
    }

    /// All its moves, oldest first.
    async fn history(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<AliasMove>> {
        let select = move_rows::Entity::find()
            .filter(move_rows::Column::ModelId.eq(self.0.model_id))
            .filter(move_rows::Column::Name.eq(&self.0.name));
        PageArguments::new(first, after, last, before)
            .page(context, select, AliasMove)
            .await
    }
}

#[Object]
impl AliasMove {
    /// Where it pointed before; null if it was new.
    async fn from(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(id) = self.0.from_version_id else {
            return Ok(None);
        };
        Ok(context.rows().load_one(VersionId(id)).await?.map(Version))
    }

    /// Where it points since; null if it was removed.
    async fn to(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(id) = self.0.to_version_id else {
            return Ok(None);
        };
        Ok(context.rows().load_one(VersionId(id)).await?.map(Version))
    }

    /// Who moved it.
    async fn moved_by(&self) -> &str {
        &self.0.moved_by
    }

    /// When.
    async fn moved_at(&self) -> DateTime<Utc> {
        self.0.moved_at
    }
}

/// Mutations of aliases.
#[derive(Default)]
pub struct AliasMutation;

/// Where to point an alias.
#[derive(InputObject)]
pub struct SetAliasInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// The model's name.
    model: String,
    /// The alias; made where it is missing.
    alias: String,
    /// The number of the version.
    version: i32,
}

/// The moved alias.
#[derive(SimpleObject)]
pub struct SetAliasPayload {
    /// The moved alias.
    alias: Alias,
}

/// Which alias to remove.
#[derive(InputObject)]
pub struct RemoveAliasInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// The model's name.
    model: String,
    /// The alias.
    alias: String,
}

/// What was removed.
#[derive(SimpleObject)]
pub struct RemoveAliasPayload {
    /// The alias.
    name: String,
}

#[Object]
impl AliasMutation {
    /// Points an alias at a version. Functions that follow it swap without a restart.
    async fn set_alias(
        &self,
        context: &Context<'_>,
        input: SetAliasInput,
    ) -> Result<SetAliasPayload> {
        let row = alias::set(
            context.app(),
            &input.project,
            &input.model,
            &input.alias,
            input.version,
            context.actor(),
        )
        .await
        .map_err(report)?;
        Ok(SetAliasPayload { alias: Alias(row) })
    }

    /// Removes an alias that no inference follows.
    async fn remove_alias(
        &self,
        context: &Context<'_>,
        input: RemoveAliasInput,
    ) -> Result<RemoveAliasPayload> {
        let removed = alias::remove(
            context.app(),
            &input.project,
            &input.model,
            &input.alias,
            context.actor(),
        );
        removed.await.map_err(report)?;
        Ok(RemoveAliasPayload { name: input.alias })
    }
}

/// Subscriptions to aliases.
#[derive(Default)]
pub struct AliasSubscription;

#[Subscription]
impl AliasSubscription {
    /// The aliases of a model as they are moved.
    async fn alias_moved(
        &self,
        context: &Context<'_>,
        model: String,
        #[graphql(default = "default")] project: String,
    ) -> Result<impl Stream<Item = Result<Alias>> + use<>> {
        let app = context.app().clone();
        let project = project::find(&app.database, &project).await;
        let project = project.map_err(report)?;
        let model: model_rows::Model = model::find(&app.database, project.id, &model)
            .await
            .map_err(report)?;
        let changes = app.changes.subscribe();
        let moves = futures::stream::unfold((app, changes), move |(app, mut changes)| async move {
            loop {
                let id = match changes.recv().await {
                    Ok(Change::Alias(id)) => id,
                    Ok(_) | Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                };
                let found = rows::Entity::find_by_id(id)
                    .filter(rows::Column::ModelId.eq(model.id))
                    .one(&app.database)
                    .await;
                match found {
                    Ok(Some(row)) => return Some((Ok(Alias(row)), (app, changes))),
                    Ok(None) => {}
                    Err(error) => return Some((Err(report(error.into())), (app, changes))),
                }
            }
        });
        Ok(moves)
    }
}
