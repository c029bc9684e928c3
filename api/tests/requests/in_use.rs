//! Deleting what something else uses: refused with who uses it, and done when nobody does any more.
//!
//! Versions are not deleted by themselves; they go with their model.

use millrace_api::graphql::GlobalId;
use millrace_entity::training::State;
use millrace_entity::{datasource, inference, outbox, segment, training};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _};

use crate::rows;
use crate::server::{BOTH, TestApp};

const CREATE_MODEL: &str = r#"mutation { createModel(input: {name: "m", inputShape: [2], layers: [{dense: {units: 2}}]}) { model { id } } }"#;
const DELETE_MODEL: &str = r#"mutation { deleteModel(input: {name: "m"}) { name } }"#;
const SET_ALIAS: &str = r#"mutation { setAlias(input: {model: "m", alias: "champion", version: 1}) { alias { name } } }"#;
const REMOVE_ALIAS: &str =
    r#"mutation { removeAlias(input: {model: "m", alias: "champion"}) { name } }"#;
const CREATE_CONNECTION: &str = r#"mutation { createConnection(input: {name: "far", bootstrapServers: "127.0.0.1:1"}) { connection { id } } }"#;
const DELETE_CONNECTION: &str = r#"mutation { deleteConnection(input: {name: "far"}) { name } }"#;
const DELETE_DATASOURCE: &str =
    r#"mutation { deleteDatasource(input: {name: "points"}) { name } }"#;

async fn assert_in_use(app: &TestApp, operation: &str, users: &str) {
    let refused = app.refused(operation).await;
    assert!(
        refused.starts_with("IN_USE: ") && refused.contains(users),
        "{operation}: {refused}"
    );
}

#[tokio::test]
async fn a_model_and_its_alias_stay_while_an_inference_follows_them() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(CREATE_MODEL).await;
        app.run(SET_ALIAS).await;
        let source = rows::datasource(&app, "default").await;
        let live = rows::inference(&app, &source, "default", Some("champion")).await;
        assert_in_use(&app, REMOVE_ALIAS, r#"the inference "live""#).await;
        assert_in_use(&app, DELETE_MODEL, r#"the inference "live""#).await;
        let database = &app.app.database;
        let gone = inference::Entity::delete_by_id(live).exec(database).await;
        gone.unwrap();
        app.run(REMOVE_ALIAS).await;
        app.run(DELETE_MODEL).await;
    }
}

#[tokio::test]
async fn a_model_stays_while_one_of_its_versions_is_at_work() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(CREATE_MODEL).await;
        let source = rows::datasource(&app, "default").await;
        let live = rows::inference(&app, &source, "default", None).await;
        assert_in_use(&app, DELETE_MODEL, r#"the inference "live""#).await;
        let database = &app.app.database;
        let gone = inference::Entity::delete_by_id(live).exec(database).await;
        gone.unwrap();

        let segment = rows::segment(&app, &source).await;
        for state in [State::Pending, State::Deploying, State::Running] {
            let id = rows::training_on(&app, &segment, state).await;
            assert_in_use(&app, DELETE_MODEL, "1 trainings that have not ended").await;
            let ended = training::ActiveModel {
                id: Set(id),
                state: Set(State::Cancelled),
                ..Default::default()
            };
            ended.update(database).await.unwrap();
        }
        // Trainings that have ended go with it.
        app.run(DELETE_MODEL).await;
        let left = training::Entity::find().all(database).await.unwrap();
        assert_eq!(left, []);
    }
}

#[tokio::test]
async fn a_segment_stays_while_something_has_it_in_its_lineage() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(CREATE_MODEL).await;
        let source = rows::datasource(&app, "default").await;
        let segment = rows::segment(&app, &source).await;
        rows::training_on(&app, &segment, State::Failed).await;
        let id = GlobalId::encode("Segment", segment.id);
        let delete = format!(
            r#"mutation {{ deleteSegment(input: {{id: "{}"}}) {{ id }} }}"#,
            *id
        );
        assert_in_use(&app, &delete, "1 trainings").await;
        assert_in_use(&app, DELETE_DATASOURCE, "1 segments").await;
        app.run(DELETE_MODEL).await;
        app.run(&delete).await;
        app.run(DELETE_DATASOURCE).await;
        let database = &app.app.database;
        let left = segment::Entity::find().all(database).await.unwrap();
        assert_eq!(left, []);
    }
}

#[tokio::test]
async fn a_connection_stays_while_anything_needs_it() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        let database = &app.app.database;
        app.run(CREATE_MODEL).await;
        app.run(CREATE_CONNECTION).await;
        let source = rows::datasource(&app, "far").await;
        assert_in_use(&app, DELETE_CONNECTION, r#"datasource "points""#).await;
        let gone = datasource::Entity::delete_by_id(source.id).exec(database);
        gone.await.unwrap();

        let source = rows::datasource(&app, "default").await;
        let live = rows::inference(&app, &source, "far", None).await;
        assert_in_use(&app, DELETE_CONNECTION, r#"inference "live""#).await;
        assert_in_use(&app, DELETE_DATASOURCE, "live").await;
        let far = inference::Entity::find_by_id(live).one(database).await;
        let connection_id = far.unwrap().unwrap().connection_id;
        let gone = inference::Entity::delete_by_id(live).exec(database).await;
        gone.unwrap();

        let unsent = outbox::ActiveModel {
            topic: Set("t".to_owned()),
            key: Set("k".to_owned()),
            connection_id: Set(connection_id),
            created_at: Set(app.app.now()),
            ..Default::default()
        };
        let unsent = unsent.insert(database).await.unwrap();
        assert_in_use(&app, DELETE_CONNECTION, "1 records that wait to be sent").await;
        let gone = outbox::Entity::delete_by_id(unsent.id).exec(database).await;
        gone.unwrap();
        app.run(DELETE_CONNECTION).await;
    }
}
