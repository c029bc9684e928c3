//! The floor of a training step: its matrix products alone, as one graph.

use anyhow::Result;
use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Model, TensorInfo};

/// The five products of a step of two dense layers: two forward, and for the gradients one for the second
/// layer's weights, one for what reaches the first layer, and one for the first layer's weights. Nobody
/// who trains by the batch can do with less arithmetic.
///
/// It takes `x`, the layers' weights `first` and `second`, and `delta`, the loss's gradient.
pub(crate) fn graph(features: i64, hidden: i64, classes: i64) -> Result<Model> {
    let batch = || Dim::Symbolic("batch".to_owned());
    let (features, hidden, classes) = (
        || Dim::Fixed(features),
        || Dim::Fixed(hidden),
        || Dim::Fixed(classes),
    );
    let graph = GraphProto {
        name: Some("products".to_owned()),
        node: vec![
            product("hidden", ["x", "first"], None),
            product("logits", ["hidden", "second"], None),
            product("second.gradient", ["hidden", "delta"], Some("transA")),
            product("hidden.gradient", ["delta", "second"], Some("transB")),
            product("first.gradient", ["x", "hidden.gradient"], Some("transA")),
        ],
        input: vec![
            described("x", batch(), features()),
            described("first", features(), hidden()),
            described("second", hidden(), classes()),
            described("delta", batch(), classes()),
        ],
        output: vec![
            described("logits", batch(), classes()),
            described("second.gradient", hidden(), classes()),
            described("first.gradient", features(), hidden()),
        ],
        ..GraphProto::default()
    };
    Ok(Model::from_proto(ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(21),
        }],
        graph: Some(graph),
        ..ModelProto::default()
    })?)
}

fn product(output: &str, inputs: [&str; 2], transposed: Option<&str>) -> NodeProto {
    NodeProto {
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        name: Some(output.to_owned()),
        op_type: Some("Gemm".to_owned()),
        attribute: transposed
            .map(|name| AttributeProto::from_int(name, 1))
            .into_iter()
            .collect(),
        ..NodeProto::default()
    }
}

fn described(name: &str, rows: Dim, columns: Dim) -> ValueInfoProto {
    ValueInfoProto::from_info(&TensorInfo::new(
        name,
        ElementType::Float32,
        vec![rows, columns],
    ))
}
