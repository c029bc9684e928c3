//! Rows that only Kafka's help would make: written as the operations write them.

use millrace_api::app::App;
use millrace_entity::inference::{Desired, Guarantee, OutputFormat};
use millrace_entity::training::State;
use millrace_entity::{connection, datasource, inference, segment, training, version};
use millrace_wire::record::{
    ByteOrder, Dtype, Encoding, Label, LabelSource, RawArray, RecordFormat,
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
};
use serde_json::json;
use uuid::Uuid;

use crate::server::TestApp;

async fn connection(app: &App, name: &str) -> connection::Model {
    let found = connection::Entity::find().filter(connection::Column::Name.eq(name));
    found.one(&app.database).await.unwrap().unwrap()
}

/// A datasource `points` on a connection of the project `default`.
pub async fn datasource(app: &TestApp, connection: &str) -> datasource::Model {
    let app = &app.app;
    let database = &app.database;
    let connection = self::connection(app, connection).await;
    let source = datasource::Model {
        id: app.new_id(),
        project_id: connection.project_id,
        connection_id: connection.id,
        name: "points".to_owned(),
        topic: "points".to_owned(),
        format: json!(RecordFormat::Raw(RawArray {
            dtype: Dtype::Float32,
            shape: vec![2],
            byte_order: ByteOrder::Little,
        })),
        label: Some(json!(Label {
            source: LabelSource::Key,
            encoding: Encoding::Text,
        })),
        created_at: app.now(),
    };
    source.into_active_model().insert(database).await.unwrap()
}

/// A segment of one record.
pub async fn segment(app: &TestApp, source: &datasource::Model) -> segment::Model {
    let app = &app.app;
    let segment = segment::Model {
        id: app.new_id(),
        project_id: source.project_id,
        datasource_id: source.id,
        name: None,
        cluster_id: "cluster".to_owned(),
        topic_id: "topic".to_owned(),
        topic: "points".to_owned(),
        partitions: json!([]),
        count: 1,
        digest: String::new(),
        split: json!({}),
        train_count: 1,
        validation_count: 0,
        test_count: 0,
        retained_until: None,
        pinned_digest: None,
        pinned_bytes: None,
        created_at: app.now(),
    };
    let inserted = segment.into_active_model().insert(&app.database).await;
    inserted.unwrap()
}

/// A training of the only version there is, on a segment of its own.
pub async fn training(app: &TestApp, state: State) -> Uuid {
    let source = datasource(app, "default").await;
    let segment = segment(app, &source).await;
    training_on(app, &segment, state).await
}

/// A training of the only version there is.
pub async fn training_on(app: &TestApp, segment: &segment::Model, state: State) -> Uuid {
    let app = &app.app;
    let database = &app.database;
    let version = version::Entity::find().one(database).await.unwrap();
    let training = training::Model {
        id: app.new_id(),
        project_id: segment.project_id,
        version_id: version.unwrap().id,
        segment_id: segment.id,
        hyperparameters: json!({}),
        state,
        cancel_requested: false,
        platform: "local".to_owned(),
        slot: Some(0),
        seed: 0,
        promote_to: None,
        result_version_id: None,
        message: None,
        warnings: None,
        error_code: None,
        error_message: None,
        created_at: app.now(),
        started_at: None,
        finished_at: None,
    };
    let training = training.into_active_model().insert(database).await.unwrap();
    training.id
}

/// A stopped inference of a model that follows its alias, or of the only version there is, on a connection.
pub async fn inference(
    app: &TestApp,
    source: &datasource::Model,
    connection: &str,
    alias: Option<&str>,
) -> Uuid {
    let app = &app.app;
    let database = &app.database;
    let version = version::Entity::find().one(database).await.unwrap();
    let version = version.unwrap();
    let connection = self::connection(app, connection).await;
    let topic = |name: &str| name.to_owned();
    let row = inference::Model {
        id: app.new_id(),
        project_id: source.project_id,
        name: "live".to_owned(),
        datasource_id: source.id,
        model_id: version.model_id,
        version_id: alias.is_none().then_some(version.id),
        alias: alias.map(str::to_owned),
        connection_id: connection.id,
        input_topic: topic("points"),
        input_topic_id: topic("id"),
        output_topic: topic("predictions"),
        dead_letter_topic: topic("dead"),
        redrive_topic: topic("redrive"),
        group_id: topic("group"),
        guarantee: Guarantee::ExactlyOnce,
        output_format: OutputFormat::Json,
        start: json!({}),
        platform: "local".to_owned(),
        replicas: 1,
        settings: json!({
            "batching": {"max_batch": 1, "max_bytes": 1, "commit_interval_ms": 1},
            "partitions": 1, "max_message_bytes": 1, "planned": [],
        }),
        desired: Desired::Stopped,
        state: inference::State::Stopped,
        message: None,
        saved_offsets: None,
        owned_topics: json!([]),
        running_version: None,
        span: None,
        takes_over_id: None,
        handover: None,
        created_at: app.now(),
        updated_at: app.now(),
    };
    let row = row.into_active_model().insert(database).await.unwrap();
    row.id
}
