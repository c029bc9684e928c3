//! How to train, as far as it is checked before anything of a training is looked up. A training whose numbers are all
//! right gets as far as its model, which does not exist here.

use millrace_api::graphql::GlobalId;
use uuid::Uuid;

use crate::server::{On, TestApp};

fn start(parameters: &str) -> String {
    let segment = GlobalId::encode("Segment", Uuid::nil());
    format!(
        "mutation {{ startTraining(input: {{model: \"missing\", segment: \"{}\", hyperparameters: {{{parameters}}}}}) \
         {{ training {{ id }} }} }}",
        segment.as_str()
    )
}

const RIGHT: [&str; 29] = [
    "epochs: 1",
    "epochs: 1, batchSize: 1, learningRate: 1e-6, maxBadRecords: 1",
    "epochs: 1, loss: CROSS_ENTROPY, labelSmoothing: 0.1, classWeights: [1, 0, 2.5]",
    "epochs: 1, loss: BINARY_CROSS_ENTROPY",
    "epochs: 1, loss: MEAN_SQUARED_ERROR",
    "epochs: 1, loss: MEAN_ABSOLUTE_ERROR",
    "epochs: 1, loss: HUBER, huberDelta: 0.5",
    "epochs: 1, optimizer: {sgd: true}",
    "epochs: 1, optimizer: {momentum: {}}",
    "epochs: 1, optimizer: {nesterov: {momentum: 0.5}}",
    "epochs: 1, optimizer: {adam: {}}",
    "epochs: 1, optimizer: {adamW: {beta1: 0.8, beta2: 0.99, epsilon: 1e-8}}, weightDecay: 0",
    "epochs: 1, optimizer: {rmsProp: {decay: 0.99}}",
    "epochs: 1, optimizer: {adagrad: {epsilon: 1e-10}}",
    "epochs: 1, optimizer: {lion: {}}",
    "epochs: 1, schedule: {step: {epochs: 2, factor: 0.5}}",
    "epochs: 1, schedule: {exponential: {factor: 0.9}}",
    "epochs: 1, schedule: {cosine: {}}, warmUp: 100",
    "epochs: 1, reduceOnPlateau: {}",
    "epochs: 1, reduceOnPlateau: {factor: 0.5, patience: 1, minChange: 0.01, least: 0.1}",
    "epochs: 1, clipNorm: 1",
    "epochs: 1, clipValue: 0.5",
    "epochs: 1, accumulation: 4",
    "epochs: 1, weightDecay: 0.01",
    "epochs: 1, frozen: [\"features.*\", \"dense_?.bias\"], batchNormalization: FREEZE",
    "epochs: 1, preprocessing: [{fillMissing: {value: 0}}, {oneHot: {columns: [1]}}, {minMax: {columns: [2]}}, {standardize: {}}]",
    "epochs: 1, prediction: \"probabilities\"",
    "epochs: 1, earlyStopping: {}",
    "epochs: 1, earlyStopping: {monitor: \"validation_auc\", patience: 1, minChange: 0.01, restoreBest: false}",
];

#[tokio::test]
async fn every_way_of_training_is_taken() {
    let app = TestApp::start(On::Sqlite).await;
    for parameters in RIGHT {
        let refusal = app.refused(&start(parameters)).await;
        assert!(
            refusal.starts_with("NOT_FOUND: ") && refusal.contains("missing"),
            "{parameters}: {refusal}"
        );
    }
}

/// Numbers outside their range, and the field that the refusal names.
const WRONG: [(&str, &str); 33] = [
    ("epochs: 0", "epochs must be at least 1"),
    ("epochs: 1, batchSize: 0", "batchSize must be at least 1"),
    (
        "epochs: 1, learningRate: 0",
        "learningRate must be a positive number",
    ),
    (
        "epochs: 1, learningRate: -0.1",
        "learningRate must be a positive number",
    ),
    (
        "epochs: 1, learningRate: 1e300",
        "learningRate must be a positive number",
    ),
    ("epochs: 1, maxBadRecords: 1.5", "maxBadRecords is a share"),
    (
        "epochs: 1, labelSmoothing: 1",
        "labelSmoothing must be at least 0",
    ),
    (
        "epochs: 1, labelSmoothing: -0.1",
        "labelSmoothing must be at least 0",
    ),
    (
        "epochs: 1, classWeights: [1, -1]",
        "classWeights must be at least 0",
    ),
    ("epochs: 1, classWeights: [0, 0]", "not all of them 0"),
    (
        "epochs: 1, loss: HUBER, huberDelta: 0",
        "huberDelta must be positive",
    ),
    (
        "epochs: 1, weightDecay: -0.1",
        "weightDecay must be at least 0",
    ),
    (
        "epochs: 1, clipNorm: 0",
        "clipNorm and clipValue must be positive",
    ),
    (
        "epochs: 1, clipValue: -1",
        "clipNorm and clipValue must be positive",
    ),
    (
        "epochs: 1, clipNorm: 1, clipValue: 1",
        "give `clipNorm` or `clipValue`, not both",
    ),
    (
        "epochs: 1, accumulation: 0",
        "accumulation must be at least 1",
    ),
    (
        "epochs: 1, schedule: {step: {epochs: 0, factor: 0.5}}",
        "a schedule takes at least 1 epoch",
    ),
    (
        "epochs: 1, schedule: {step: {factor: 0}}",
        "a factor of more than 0",
    ),
    (
        "epochs: 1, schedule: {exponential: {factor: 1.5}}",
        "a factor of more than 0 and at most 1",
    ),
    (
        "epochs: 1, schedule: {cosine: {least: 2}}",
        "a least share of 0 to 1",
    ),
    (
        "epochs: 1, reduceOnPlateau: {factor: 1}",
        "reduceOnPlateau takes a factor between 0 and 1",
    ),
    (
        "epochs: 1, reduceOnPlateau: {patience: 0}",
        "a patience of at least 1",
    ),
    (
        "epochs: 1, reduceOnPlateau: {minChange: -1}",
        "a minChange of at least 0",
    ),
    (
        "epochs: 1, reduceOnPlateau: {least: 2}",
        "a least share of 0 to 1",
    ),
    (
        "epochs: 1, earlyStopping: {patience: 0}",
        "earlyStopping.patience must be at least 1",
    ),
    (
        "epochs: 1, earlyStopping: {minChange: -1}",
        "earlyStopping.minChange must be at least 0",
    ),
    (
        "epochs: 1, optimizer: {sgd: false}",
        "`sgd: false` says nothing",
    ),
    (
        "epochs: 1, optimizer: {momentum: {momentum: 1}}",
        "the optimizer's decays",
    ),
    (
        "epochs: 1, optimizer: {adam: {beta2: 1}}",
        "the optimizer's decays",
    ),
    (
        "epochs: 1, optimizer: {adamW: {beta1: -0.1}}",
        "the optimizer's decays",
    ),
    (
        "epochs: 1, optimizer: {rmsProp: {decay: 1.5}}",
        "the optimizer's decays",
    ),
    (
        "epochs: 1, optimizer: {adagrad: {epsilon: 0}}",
        "epsilon positive",
    ),
    (
        "epochs: 1, optimizer: {lion: {beta2: 1}}",
        "the optimizer's decays",
    ),
];

#[tokio::test]
async fn numbers_outside_their_range_are_refused_by_name() {
    let app = TestApp::start(On::Sqlite).await;
    for (parameters, expected) in WRONG {
        let refusal = app.refused(&start(parameters)).await;
        assert!(
            refusal.starts_with("INVALID_INPUT: ") && refusal.contains(expected),
            "{parameters}: {refusal}"
        );
    }
    // Two optimizers are one too many, and unknown ones are named.
    for parameters in [
        "epochs: 1, optimizer: {sgd: true, adam: {}}",
        "epochs: 1, schedule: {cosine: {}, step: {factor: 0.5}}",
        "epochs: 1, optimizer: {adamm: {}}",
    ] {
        let refusal = app.refused(&start(parameters)).await;
        assert!(
            !refusal.starts_with("NOT_FOUND: "),
            "{parameters}: {refusal}"
        );
        assert!(
            refusal.contains("optimizer") || refusal.contains("schedule"),
            "{parameters}: {refusal}"
        );
    }
}
