//! The migrations and the entities: each migration can be taken back, and what they make is what
//! the entities expect, on SQLite and on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod rows;

use std::collections::BTreeMap;
use std::fmt::Debug;

use millrace_entity::{
    admin_token, alias, alias_move, artifact, connection, datasource, event_position,
    function_event, inference, model, outbox, project, segment, training, training_epoch, version,
};
use millrace_harness::Postgres;
use millrace_migration::Migrator;
use sea_orm::prelude::Uuid;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectOptions, ConnectionTrait, Database,
    DatabaseConnection, DbBackend, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait,
    QuerySelect, Statement,
};
use sea_orm_migration::MigratorTrait;

use rows::Rows;
use serde_json::json;

const TABLES: usize = 16;

#[tokio::test]
async fn migrations_go_up_down_and_up_again() {
    for database in databases().await {
        Migrator::up(&database, None).await.unwrap();
        assert_eq!(tables(&database).await.len(), TABLES);

        Migrator::down(&database, None).await.unwrap();
        assert_eq!(tables(&database).await, Vec::<String>::new());

        Migrator::up(&database, None).await.unwrap();
        assert_eq!(tables(&database).await.len(), TABLES);
    }
}

#[tokio::test]
async fn entities_are_what_the_migrations_make() {
    for database in databases().await {
        Migrator::up(&database, None).await.unwrap();

        let rows = Rows::new();
        agree::<project::Entity>(&database, rows.project()).await;
        agree::<connection::Entity>(&database, rows.connection()).await;
        agree::<artifact::Entity>(&database, rows.artifact()).await;
        agree::<model::Entity>(&database, rows.model()).await;
        agree::<datasource::Entity>(&database, rows.datasource()).await;
        agree::<segment::Entity>(&database, rows.segment()).await;
        agree::<version::Entity>(&database, rows.version()).await;
        agree::<alias::Entity>(&database, rows.alias()).await;
        agree::<alias_move::Entity>(&database, rows.alias_move()).await;
        agree::<training::Entity>(&database, rows.training()).await;
        agree::<training_epoch::Entity>(&database, rows.training_epoch()).await;
        agree::<inference::Entity>(&database, rows.inference()).await;
        agree::<function_event::Entity>(&database, rows.function_event()).await;
        agree::<event_position::Entity>(&database, Rows::event_position()).await;
        agree::<outbox::Entity>(&database, rows.outbox()).await;
        agree::<admin_token::Entity>(&database, rows.admin_token()).await;

        let used = project::Entity::delete_by_id(rows.id).exec(&database).await;
        assert!(used.is_err(), "a project with a model was deleted");
        let repeated = model::Model {
            id: Uuid::now_v7(),
            ..rows.model()
        }
        .into_active_model()
        .insert(&database)
        .await;
        assert!(repeated.is_err(), "two models have one name");

        rows.training().delete(&database).await.unwrap();
        let epochs = training_epoch::Entity::find().all(&database).await.unwrap();
        assert_eq!(epochs, Vec::new(), "epochs outlived their training");
    }
}

#[tokio::test]
async fn topics_that_are_owned_get_room_for_an_id_and_lose_it_again() {
    for database in databases().await {
        Migrator::up(&database, None).await.unwrap();
        let rows = Rows::new();
        put::<project::Entity>(&database, rows.project()).await;
        put::<connection::Entity>(&database, rows.connection()).await;
        put::<artifact::Entity>(&database, rows.artifact()).await;
        put::<model::Entity>(&database, rows.model()).await;
        put::<datasource::Entity>(&database, rows.datasource()).await;
        put::<segment::Entity>(&database, rows.segment()).await;
        put::<version::Entity>(&database, rows.version()).await;
        let with_ids = json!([{ "name": "out", "id": null }, { "name": "dead", "id": null }]);
        let row = inference::Model {
            owned_topics: with_ids.clone(),
            ..rows.inference()
        };
        put::<inference::Entity>(&database, row).await;

        let migrations = Migrator::migrations();
        let mut names = migrations.iter().map(|migration| migration.name());
        let before = names.position(|name| name.ends_with("add_id_to_owned_topics"));
        let steps = u32::try_from(migrations.len() - before.unwrap()).unwrap();
        Migrator::down(&database, Some(steps)).await.unwrap();
        assert_eq!(owned_topics(&database).await, json!(["out", "dead"]));

        Migrator::up(&database, None).await.unwrap();
        assert_eq!(owned_topics(&database).await, with_ids);
    }
}

async fn owned_topics(database: &DatabaseConnection) -> serde_json::Value {
    // The other columns may be those of later migrations.
    let select = inference::Entity::find().select_only();
    let select = select.column(inference::Column::OwnedTopics);
    let topics = select.into_tuple().one(database).await.unwrap();
    topics.unwrap()
}

#[test]
fn states_are_kept_as_these_words() {
    assert_eq!(words::<connection::TopicPolicy>(), "CREATE REQUIRE");
    assert_eq!(
        words::<training::State>(),
        "PENDING DEPLOYING RUNNING SUCCEEDED FAILED CANCELLED"
    );
    assert_eq!(
        words::<inference::State>(),
        "PENDING DEPLOYING RUNNING DEGRADED STOPPING STOPPED FINISHED FAILED DELETING"
    );
    assert_eq!(words::<inference::Desired>(), "RUNNING STOPPED DELETED");
    assert_eq!(
        words::<inference::Guarantee>(),
        "EXACTLY_ONCE AT_LEAST_ONCE"
    );
    assert_eq!(words::<inference::OutputFormat>(), "JSON KAFKA_ML AVRO RAW");
}

fn words<E: ActiveEnum<Value = String> + Iterable>() -> String {
    let words: Vec<String> = E::iter().map(|variant| variant.to_value()).collect();
    words.join(" ")
}

/// The table has the entity's columns, null where the entity says so, and gives a row back as it
/// was put in.
async fn agree<E>(database: &DatabaseConnection, row: E::Model)
where
    E: EntityTrait + Default,
    E::Model: IntoActiveModel<E::ActiveModel> + PartialEq + Clone + Debug + Send + Sync,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let entity = E::default();
    let table = entity.table_name();
    let expected: BTreeMap<String, bool> = E::Column::iter()
        .map(|column| (column.as_str().to_owned(), column.def().is_null()))
        .collect();
    assert_eq!(
        columns(database, table).await,
        expected,
        "columns of {table}"
    );

    put::<E>(database, row.clone()).await;
    let found = E::find().all(database).await.unwrap();
    assert_eq!(found, vec![row], "rows of {table}");
}

async fn put<E>(database: &DatabaseConnection, row: E::Model)
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    E::insert(row.into_active_model())
        .exec_without_returning(database)
        .await
        .unwrap();
}

/// A new and empty database on each of the two systems.
async fn databases() -> [DatabaseConnection; 2] {
    let postgres = Postgres::start();
    [
        connect("sqlite::memory:").await,
        connect(postgres.url()).await,
    ]
}

/// One connection, since each connection to SQLite in memory is a database of its own.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    Database::connect(options).await.unwrap()
}

async fn tables(database: &DatabaseConnection) -> Vec<String> {
    let query = match database.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' \
             AND name NOT LIKE 'sqlite_%' AND name <> 'seaql_migrations'"
        }
        _ => {
            "SELECT table_name AS name FROM information_schema.tables \
             WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'"
        }
    };
    let statement = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get("", "name").unwrap())
        .collect()
}

/// The columns of a table by their names, with whether they may be null.
async fn columns(database: &DatabaseConnection, table: &str) -> BTreeMap<String, bool> {
    let query = match database.get_database_backend() {
        DbBackend::Sqlite => {
            format!("SELECT name, \"notnull\" = 0 AS nullable FROM pragma_table_info('{table}')")
        }
        _ => format!(
            "SELECT column_name::text AS name, is_nullable = 'YES' AS nullable \
             FROM information_schema.columns WHERE table_name = '{table}'"
        ),
    };
    let statement = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| {
            (
                row.try_get("", "name").unwrap(),
                row.try_get("", "nullable").unwrap(),
            )
        })
        .collect()
}
