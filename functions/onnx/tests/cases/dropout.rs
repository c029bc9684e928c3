//! Dropout: the mask stays while a parameter moves, so that differences show its gradient.

use millrace_onnx::proto::TensorProto;

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

pub fn cases() -> Vec<Case> {
    vec![
        dropout(13, None, &[4, 5]),
        dropout(13, Some(0.25), &[20]),
        dropout(22, Some(0.5), &[2, 3, 4]),
    ]
}
