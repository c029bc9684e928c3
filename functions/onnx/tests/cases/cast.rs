//! `Identity`, `Cast`, `CastLike`.

use millrace_onnx::ElementType;
use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, X, hidden};

pub fn cases() -> Vec<Case> {
    let identity = hidden().node("Identity", &["h"], "y").result("y");
    let to = |element: ElementType| vec![AttributeProto::from_int("to", i64::from(element.code()))];
    let cast = hidden()
        .node_with("Cast", &["h"], "wide", to(ElementType::Float64))
        .node("Tanh", &["wide"], "bent")
        .node_with("Cast", &["bent"], "y", to(ElementType::Float32));
    let mut like = hidden().opset(15);
    let double = TensorProto::from_f64("double", &[1], &[0.5]);
    like.graph.initializer.push(double);
    let like = like
        .node("CastLike", &["h", "double"], "wide")
        .node("Tanh", &["wide"], "bent")
        .node("CastLike", &["bent", "h"], "y");
    vec![
        Case::new("Identity", identity, X),
        Case::new("Cast to float64 and back", cast.result("y"), X),
        Case::new("CastLike float64 and back", like.result("y"), X),
    ]
}
