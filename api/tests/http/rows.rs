//! Rows that only Kafka's help would make: written as the operations write them.

use millrace_entity::training::State;
use millrace_entity::{connection, datasource, project, segment, training, version};
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
use serde_json::json;
use uuid::Uuid;

use crate::server::TestApp;

/// A training of the only version there is, on a segment of its own.
pub async fn training(app: &TestApp, state: State) -> Uuid {
    let app = &app.app;
    let database = &app.database;
    let project = project::Entity::find().one(database).await.unwrap();
    let project = project.unwrap().id;
    let connection = connection::Entity::find().one(database).await.unwrap();
    let version = version::Entity::find().one(database).await.unwrap();
    let source = datasource::Model {
        id: app.new_id(),
        project_id: project,
        connection_id: connection.unwrap().id,
        name: "points".to_owned(),
        topic: "points".to_owned(),
        format: json!({}),
        label: None,
        created_at: app.now(),
    };
    let source = source.into_active_model().insert(database).await.unwrap();
    let segment = segment::Model {
        id: app.new_id(),
        project_id: project,
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
    let segment = segment.into_active_model().insert(database).await.unwrap();
    let training = training::Model {
        id: app.new_id(),
        project_id: project,
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
