//! Models that are described as layers.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::server::{On, TestApp};

fn create(name: &str, input_shape: &str, layers: &str) -> String {
    format!(
        "mutation {{ createModel(input: {{name: \"{name}\", inputShape: {input_shape}, layers: [{layers}]}}) \
         {{ version {{ layers signature {{ inputs {{ text }} outputs {{ text }} }} \
         trainable {{ possible reasons parameters }} }} }} }}"
    )
}

/// Every kind of layer on its own: the record that it takes, the layer, the shape and the number of parameters that follow.
const KINDS: [(&str, &str, &str, i64); 22] = [
    (
        "[64]",
        "{reshape: {targetShape: [1, 8, 8]}}",
        "output: float32 [batch, 1, 8, 8]",
        0,
    ),
    (
        "[8, 6, 3]",
        "{permute: {dims: [3, 1, 2]}}",
        "output: float32 [batch, 3, 8, 6]",
        0,
    ),
    (
        "[2, 3]",
        "{scale: {factor: 0.5}}",
        "output: float32 [batch, 2, 3]",
        0,
    ),
    ("[2, 3]", "{flatten: true}", "output: float32 [batch, 6]", 0),
    (
        "[5]",
        "{dense: {units: 4}}",
        "output: float32 [batch, 4]",
        24,
    ),
    (
        "[5]",
        "{dense: {units: 4, activation: SOFTMAX, bias: false}}",
        "probabilities: float32 [batch, 4]",
        20,
    ),
    (
        "[2, 8, 6]",
        "{conv2d: {filters: 4, kernelSize: 3}}",
        "output: float32 [batch, 4, 6, 4]",
        76,
    ),
    (
        "[2, 8, 6]",
        "{conv2d: {filters: 4, kernelSize: [3, 5], strides: [2, 1], padding: SAME, activation: RELU, bias: false}}",
        "output: float32 [batch, 4, 4, 6]",
        120,
    ),
    (
        "[2, 8, 6]",
        "{maxPooling2d: {}}",
        "output: float32 [batch, 2, 4, 3]",
        0,
    ),
    (
        "[2, 8, 6]",
        "{maxPooling2d: {poolSize: 3, strides: [2, 3], padding: SAME}}",
        "output: float32 [batch, 2, 4, 2]",
        0,
    ),
    (
        "[2, 8, 6]",
        "{averagePooling2d: {poolSize: [4, 3]}}",
        "output: float32 [batch, 2, 2, 2]",
        0,
    ),
    (
        "[2, 8, 6]",
        "{averagePooling2d: {strides: 1}}",
        "output: float32 [batch, 2, 7, 5]",
        0,
    ),
    (
        "[2, 8, 6]",
        "{globalAveragePooling2d: true}",
        "output: float32 [batch, 2]",
        0,
    ),
    (
        "[5]",
        "{batchNormalization: {}}",
        "output: float32 [batch, 5]",
        10,
    ),
    (
        "[2, 8, 6]",
        "{batchNormalization: {momentum: 0.99, epsilon: 0.001}}",
        "output: float32 [batch, 2, 8, 6]",
        4,
    ),
    (
        "[2, 8, 6]",
        "{activation: RELU}",
        "output: float32 [batch, 2, 8, 6]",
        0,
    ),
    (
        "[5]",
        "{activation: SOFTMAX}",
        "probabilities: float32 [batch, 5]",
        0,
    ),
    (
        "[5]",
        "{dropout: {rate: 0.25}}",
        "output: float32 [batch, 5]",
        0,
    ),
    (
        "[7]",
        "{embedding: {inputDim: 10, outputDim: 3}}",
        "output: float32 [batch, 7, 3]",
        30,
    ),
    (
        "[7, 3]",
        "{lstm: {units: 4}}",
        "output: float32 [batch, 4]",
        144,
    ),
    (
        "[7, 3]",
        "{lstm: {units: 4, returnSequences: true}}",
        "output: float32 [batch, 7, 4]",
        144,
    ),
    (
        "[7, 3]",
        "{gru: {units: 4, returnSequences: true}}",
        "output: float32 [batch, 7, 4]",
        108,
    ),
];

#[tokio::test]
async fn every_kind_of_layer_makes_a_model() {
    let app = TestApp::start(On::Sqlite).await;
    for (number, (shape, layer, output, parameters)) in KINDS.into_iter().enumerate() {
        let made = app.run(&create(&format!("m{number}"), shape, layer)).await;
        let version = &made["createModel"]["version"];
        assert_eq!(
            version["signature"]["outputs"][0]["text"], output,
            "{layer}"
        );
        let trainable = &version["trainable"];
        assert_eq!(
            trainable["possible"],
            parameters > 0,
            "{layer}: {trainable}"
        );
        assert_eq!(trainable["parameters"], parameters, "{layer}: {trainable}");
    }
}

/// The version says how it was described, with defaults written out.
#[tokio::test]
async fn the_description_stays_with_the_version() {
    let app = TestApp::start(On::Sqlite).await;
    let images = "{scale: {factor: 0.5}}, {permute: {dims: [3, 1, 2]}}, {conv2d: {filters: 4, kernelSize: 3}}, \
                  {batchNormalization: {}}, {activation: RELU}, {maxPooling2d: {}}, {dropout: {rate: 0.5}}, \
                  {averagePooling2d: {poolSize: 1, padding: SAME}}, {globalAveragePooling2d: true}, \
                  {reshape: {targetShape: [4, 1]}}, {flatten: true}, {dense: {units: 3, activation: SOFTMAX}}";
    let sequences = "{embedding: {inputDim: 9, outputDim: 2}}, {lstm: {units: 3, returnSequences: true}}, \
                     {gru: {units: 2}}, {dense: {units: 1, activation: SIGMOID, bias: false}}";
    let mut kept = Vec::<Value>::new();
    for (name, shape, layers) in [
        ("images", "[8, 8, 3]", images),
        ("sequences", "[5]", sequences),
    ] {
        let mut made = app.run(&create(name, shape, layers)).await;
        kept.push(made["createModel"]["version"].take());
    }
    assert_json_snapshot!("described", kept);
}

/// Layers that fit nowhere: which one it is, what it got and what it needs.
const WRONG: [(&str, &str, &str); 24] = [
    (
        "[]",
        "{flatten: true}",
        "a record of shape [] has no features",
    ),
    (
        "[4, -1]",
        "{flatten: true}",
        "inputShape has a -1: give sizes of at least 1",
    ),
    ("[4]", "", "a model needs at least one layer"),
    ("[4]", "{flatten: false}", "layer 1: `false` says nothing"),
    (
        "[2, 8, 8]",
        "{globalAveragePooling2d: false}",
        "layer 1: `false` says nothing",
    ),
    (
        "[4]",
        "{dense: {units: 2}}, {dense: {units: -2}}",
        "layer 2: units is -2: give at least 1",
    ),
    (
        "[4]",
        "{dense: {units: 0}}",
        "layer 1 (dense): it has no units: give at least 1",
    ),
    (
        "[1, 8, 8]",
        "{scale: {factor: 2}}, {dense: {units: 2}}",
        "layer 2 (dense): it takes a row of features, and gets records of shape [1, 8, 8]: put a flatten layer before it",
    ),
    (
        "[4]",
        "{scale: {factor: 0}}",
        "layer 1 (scale): the factor 0 leaves nothing of the input",
    ),
    (
        "[64]",
        "{reshape: {targetShape: [1, 7, 7]}}",
        "layer 1 (reshape): it gets records of shape [64], 64 elements, and [1, 7, 7] has 49: give a shape of 64 elements",
    ),
    (
        "[64]",
        "{reshape: {targetShape: [-1, 8]}}",
        "layer 1: targetShape is -1: give at least 1",
    ),
    (
        "[8, 8, 3]",
        "{permute: {dims: [2, 0, 1]}}",
        "layer 1 (permute): it gets records of shape [8, 8, 3], and [2, 0, 1] is no order of their 3 dimensions",
    ),
    (
        "[64]",
        "{conv2d: {filters: 2, kernelSize: 3}}",
        "layer 1 (conv2d): it takes images of shape [channels, height, width], and gets records of shape [64]: \
         put a reshape layer before it",
    ),
    (
        "[28, 28, 1]",
        "{conv2d: {filters: 2, kernelSize: 3}}",
        "layer 1 (conv2d): a window of 3 does not fit a side of 1: give a smaller one, or pad; \
         it gets images of shape [28, 28, 1], which are [channels, height, width]",
    ),
    (
        "[1, 8, 8]",
        "{conv2d: {filters: 2, kernelSize: [3, 3, 3]}}",
        "layer 1: kernelSize is [3, 3, 3]: give one number, or two for rows and columns",
    ),
    (
        "[1, 8, 8]",
        "{conv2d: {filters: 2, kernelSize: 3, strides: []}}",
        "layer 1: strides is []: give one number",
    ),
    (
        "[1, 8, 8]",
        "{conv2d: {filters: 2, kernelSize: 3, strides: 0}}",
        "layer 1 (conv2d): a window or stride of 0 leads nowhere: give at least 1",
    ),
    (
        "[64]",
        "{maxPooling2d: {}}",
        "layer 1 (max_pooling2d): it takes images of shape [channels, height, width], and gets records of shape [64]",
    ),
    (
        "[4]",
        "{batchNormalization: {momentum: 1}}",
        "layer 1 (batch_normalization): a momentum of 1 is not",
    ),
    (
        "[4]",
        "{activation: NONE}",
        "layer 1 (activation): it applies no function",
    ),
    (
        "[4]",
        "{dropout: {rate: 1}}",
        "layer 1 (dropout): it drops a share of 1 of the values: give at least 0",
    ),
    (
        "[4]",
        "{dense: {units: 4}}, {embedding: {inputDim: 3, outputDim: 3}}",
        "layer 2 (embedding): it looks numbers of the input up: put it first",
    ),
    (
        "[4]",
        "{lstm: {units: 3}}",
        "layer 1 (lstm): it takes records of shape [steps, features], and gets records of shape [4]",
    ),
    (
        "[4, 2]",
        "{gru: {units: 0}}",
        "layer 1 (gru): it has no units: give at least 1",
    ),
];

#[tokio::test]
async fn layers_that_do_not_fit_are_refused_by_number() {
    let app = TestApp::start(On::Sqlite).await;
    for (shape, layers, expected) in WRONG {
        let refusal = app.refused(&create("m", shape, layers)).await;
        let wanted = format!("INVALID_INPUT: {expected}");
        assert!(refusal.starts_with(&wanted), "{layers}: {refusal}");
    }
    // What the schema refuses is named by its path.
    let refusal = app
        .refused(&create("m", "[1, 8, 8]", "{conv2d: {filters: 2}}"))
        .await;
    assert!(refusal.contains("kernelSize"), "{refusal}");
    let two = "{flatten: true, dense: {units: 1}}";
    let refusal = app.refused(&create("m", "[4]", two)).await;
    assert!(refusal.contains("layers"), "{refusal}");
}
