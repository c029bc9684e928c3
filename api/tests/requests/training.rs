//! Trainings, as far as they need no Kafka.

use millrace_api::graphql::GlobalId;
use millrace_entity::function_event;
use millrace_entity::training::State;
use sea_orm::{
    ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    TransactionTrait as _,
};
use serde_json::json;

use crate::rows;
use crate::server::{BOTH, On, TestApp};

const MODEL: &str = r#"mutation { createModel(input: {
    name: "m", inputShape: [2], layers: [{dense: {units: 1}}]
}) { model { id } } }"#;

#[tokio::test]
async fn a_model_takes_its_trainings_and_what_they_reported_with_it() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(MODEL).await;
        let owner_id = rows::training(&app, State::Failed).await;
        let event = function_event::Model {
            id: app.app.new_id(),
            function_kind: "training".to_owned(),
            owner_id,
            kind: "failed".to_owned(),
            body: json!({}),
            occurred_at: app.app.now(),
        };
        let database = &app.app.database;
        event.into_active_model().insert(database).await.unwrap();
        app.run(r#"mutation { deleteModel(input: {name: "m"}) { name } }"#)
            .await;
        let left = function_event::Entity::find().count(database).await;
        assert_eq!(left.unwrap(), 0);
    }
}

#[tokio::test]
async fn cancelling_needs_one_connection_to_the_database() {
    let app = TestApp::start(On::Sqlite).await;
    app.run(MODEL).await;
    let id = rows::training(&app, State::Running).await;
    // All but one of the sixteen that there are: with two for each caller, callers could wait for
    // each other's second one.
    let mut taken = Vec::new();
    for _ in 0..15 {
        taken.push(app.app.database.begin().await.unwrap());
    }
    let id = GlobalId::encode("Training", id);
    let cancel = format!(
        r#"mutation {{ cancelTraining(input: {{id: "{}"}}) {{ training {{ state }} }} }}"#,
        id.as_str()
    );
    let cancelled = app.run(&cancel).await;
    let training = &cancelled["cancelTraining"]["training"];
    assert_eq!(training["state"], "RUNNING");
}
