//! Gives the topics in `inference.owned_topics` room for Kafka's id of them: a list of names becomes
//! a list of `{"name", "id"}`. Of the topics that stand there already nobody knows it: it is null.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        ConnectionTrait,
        prelude::{Json, Uuid},
    },
};
use serde_json::json;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        change(manager, |topic| json!({ "name": topic, "id": null })).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        change(manager, |topic| topic["name"].clone()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Changes every topic of every inference.
async fn change(manager: &SchemaManager<'_>, edit: fn(&Json) -> Json) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let select = Query::select()
        .columns(["id", "owned_topics"])
        .from("inference")
        .to_owned();
    for row in connection.query_all(&select).await? {
        let id: Uuid = row.try_get("", "id")?;
        let topics: Json = row.try_get("", "owned_topics")?;
        let topics: Vec<Json> = topics.as_array().into_iter().flatten().map(edit).collect();
        let update = Query::update()
            .table("inference")
            .value("owned_topics", Json::from(topics))
            .and_where(Expr::col("id").eq(id))
            .to_owned();
        connection.execute(&update).await?;
    }
    Ok(())
}
