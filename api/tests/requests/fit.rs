//! What a training or an inference is asked to do that does not fit the model or the records: told when it is asked for, not
//! when it runs.

use millrace_api::graphql::GlobalId;
use millrace_artifacts::digest_of;
use millrace_entity::segment;
use millrace_onnx::layers::{self, Layer};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};

use crate::rows;
use crate::server::{BOTH, On, TestApp};

/// A server with a model of two layers and three classes, and one that gives a number.
async fn app() -> TestApp {
    let app = TestApp::start(On::Sqlite).await;
    for (name, last) in [
        ("classes", "units: 3, activation: SOFTMAX"),
        ("number", "units: 1"),
    ] {
        app.run(&format!(
            r#"mutation {{ createModel(input: {{name: "{name}", inputShape: [2], layers: [
                {{dense: {{units: 4, activation: TANH}}}}, {{dense: {{{last}}}}}]
            }}) {{ model {{ id }} }} }}"#
        ))
        .await;
    }
    app
}

/// A segment that is there without Kafka, with so many records for validation.
async fn segment(app: &TestApp, validation: i64) -> String {
    let source = rows::datasource(app, "default").await;
    let pinned = segment::ActiveModel {
        id: Set(rows::segment(app, &source).await.id),
        validation_count: Set(validation),
        pinned_digest: Set(Some("0".repeat(64))),
        ..Default::default()
    };
    let row = pinned.update(&app.app.database).await.unwrap();
    GlobalId::encode("Segment", row.id).to_string()
}

fn start(model: &str, segment: &str, parameters: &str) -> String {
    format!(
        r#"mutation {{ startTraining(input: {{
            model: "{model}", segment: "{segment}", hyperparameters: {{epochs: 1, {parameters}}}
        }}) {{ training {{ state }} }} }}"#
    )
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_refused_at_the_start() {
    let app = app().await;
    let segment = segment(&app, 10).await;
    let wrong = [
        (
            "classes",
            "classWeights: [1, 2]",
            "there are 2 class weights, and the prediction has 3 classes",
        ),
        (
            "classes",
            r#"frozen: ["dense_9.*"]"#,
            "'dense_9.*' shall be frozen",
        ),
        ("classes", r#"frozen: ["*"]"#, "nothing is left to train"),
        (
            "classes",
            r#"earlyStopping: {monitor: "validation_beauty"}"#,
            "it reports loss, accuracy, validation_loss, validation_accuracy",
        ),
        (
            "classes",
            r#"earlyStopping: {monitor: "validation_auc"}"#,
            "validation_auc_macro",
        ),
        ("number", "", "cross-entropy needs a prediction of shape"),
        (
            "number",
            "loss: MEAN_SQUARED_ERROR, classWeights: [1]",
            "classWeights are for CROSS_ENTROPY",
        ),
        (
            "number",
            r#"loss: MEAN_SQUARED_ERROR, earlyStopping: {monitor: "validation_accuracy"}"#,
            "it reports loss, validation_loss, validation_mae, validation_rmse, validation_r2",
        ),
    ];
    for (model, parameters, rule) in wrong {
        let refused = app.refused(&start(model, &segment, parameters)).await;
        assert!(
            refused.starts_with("INVALID_INPUT: ") && refused.contains(rule),
            "{parameters}: {refused}"
        );
    }
    let right = [
        ("classes", "classWeights: [1, 0, 2]"),
        ("classes", r#"frozen: ["dense_1.*"]"#),
        (
            "classes",
            r#"earlyStopping: {monitor: "validation_auc_macro"}"#,
        ),
        (
            "number",
            r#"loss: HUBER, earlyStopping: {monitor: "validation_r2"}"#,
        ),
        (
            "number",
            r#"loss: BINARY_CROSS_ENTROPY, earlyStopping: {monitor: "validation_auc"}"#,
        ),
    ];
    for (model, parameters) in right {
        app.run(&start(model, &segment, parameters)).await;
    }
}

#[tokio::test]
async fn without_a_validation_part_nothing_of_it_can_be_watched() {
    let app = app().await;
    let segment = segment(&app, 0).await;
    let watch = |monitor: &str| {
        let stopping = format!(r#"earlyStopping: {{monitor: "{monitor}"}}"#);
        start("classes", &segment, &stopping)
    };
    let refused = app.refused(&watch("validation_loss")).await;
    assert!(
        refused.starts_with("INVALID_INPUT: ")
            && refused.ends_with("it reports loss, accuracy (the segment has no validation part)"),
        "{refused}"
    );
    app.run(&watch("accuracy")).await;
}

#[tokio::test]
async fn an_inference_does_not_start_with_a_version_that_no_longer_fits() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(
            r#"mutation { createModel(input: {name: "m", inputShape: [2], layers: [{flatten: true}]}) { model { id } } }"#,
        )
        .await;
        let wider = layers::build(&[3], &[Layer::Flatten], 1).unwrap().encode();
        let digest = digest_of(&wider);
        let path = format!("/artifacts/{digest}");
        let put = app.request("PUT", &path).body(wider).send().await.unwrap();
        assert_eq!(put.status(), 201);
        app.run(&format!(
            r#"mutation {{
                createVersion(input: {{model: "m", artifact: "{digest}"}}) {{ version {{ number }} }}
                setAlias(input: {{model: "m", alias: "champion", version: 2}}) {{ alias {{ name }} }}
            }}"#
        ))
        .await;
        let source = rows::datasource(&app, "default").await;
        rows::inference(&app, &source, "default", Some("champion")).await;
        let start = r#"mutation { startInference(input: {name: "live"}) { inference { state } } }"#;
        let refused = app.refused(start).await;
        assert!(
            refused.starts_with("INCOMPATIBLE: ")
                && refused.contains("[batch, 3]")
                && refused.contains("[2]"),
            "{refused}"
        );
        app.run(
            r#"mutation { setAlias(input: {model: "m", alias: "champion", version: 1}) { alias { name } } }"#,
        )
        .await;
        app.run(start).await;
    }
}
