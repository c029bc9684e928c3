//! Dropout and noise: they stay while a parameter moves, so that differences show its gradient.

use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, images};

fn dropout(opset: i64, ratio: Option<f32>, record: &[usize]) -> Case {
    let mut draft = images(record);
    let mut inputs = vec!["h"];
    if let Some(ratio) = ratio {
        let ratio = TensorProto::from_f32("ratio", &[], &[ratio]);
        draft.graph.initializer.push(ratio);
        inputs.push("ratio");
    }
    let draft = draft.node("Dropout", &inputs, "y");
    let name = format!("Dropout of {ratio:?}, operator set {opset}");
    let dims = [&[3], record].concat();
    Case::new(&name, draft.result("y").opset(opset), &[("x", &dims)])
}

/// Noise times a spread that trains, as in a variational autoencoder.
fn noise(operator: &str, opset: i64, attributes: &[(&str, f32)]) -> Case {
    let attributes = attributes.iter();
    let attributes = attributes.map(|(name, value)| AttributeProto::from_float(name, *value));
    let draft = images(&[4, 5])
        .node_with(operator, &["h"], "noise", attributes.collect())
        .node("Exp", &["h"], "spread")
        .node("Mul", &["noise", "spread"], "moved")
        .node("Add", &["moved", "h"], "y");
    let name = format!("{operator}, operator set {opset}");
    Case::new(&name, draft.result("y").opset(opset), &[("x", &[3, 4, 5])])
}

/// Noise of a shape of its own.
fn alone(operator: &str, opset: i64) -> Case {
    let shape = AttributeProto::from_ints("shape", &[4, 5]);
    let draft = images(&[4, 5])
        .node_with(operator, &[], "noise", vec![shape])
        .node("Mul", &["noise", "h"], "y");
    let name = format!("{operator}, operator set {opset}");
    Case::new(&name, draft.result("y").opset(opset), &[("x", &[3, 4, 5])])
}

pub fn cases() -> Vec<Case> {
    vec![
        dropout(13, None, &[4, 5]),
        dropout(13, Some(0.25), &[20]),
        dropout(22, Some(0.5), &[2, 3, 4]),
        noise("RandomNormalLike", 13, &[]),
        noise("RandomNormalLike", 22, &[("mean", 0.5), ("scale", 0.25)]),
        noise("RandomUniformLike", 21, &[("low", -1.0), ("high", 3.0)]),
        alone("RandomNormal", 13),
        alone("RandomUniform", 22),
    ]
}
