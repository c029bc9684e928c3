//! Models that exporters wrap: functions of their own, weights as `Constant` nodes, loops with a constant number of turns.

use millrace_onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Model, Tensor, TensorInfo};

use super::Case;
use crate::support::{Draft, batch, noise};

pub fn cases() -> Vec<Case> {
    let case = |name: &str, model: Model, dims: &[usize]| {
        let x = Tensor::from_f32(dims, &noise(dims.iter().product(), 11));
        Case::of(name, model, [("x".to_owned(), x)].into())
    };
    vec![
        case("weights as Constant nodes", constants(), &[3, 4]),
        case("functions within functions", functions(), &[3, 4]),
        case("a Loop with weights inside", recurrence(), &[3, 5, 4]),
    ]
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().copied().map(str::to_owned).collect(),
        output: vec![output.to_owned()],
        op_type: Some(operator.to_owned()),
        ..NodeProto::default()
    }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn constant(name: &str, value: TensorProto) -> NodeProto {
    with(
        node("Constant", &[], name),
        AttributeProto::from_tensor("value", value),
    )
}

fn four() -> Draft {
    Draft::new().input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
}

/// Weights and a bias as `Constant` nodes.
pub fn constants() -> Model {
    let mut draft = four();
    let weights = TensorProto::from_f32("", &[4, 3], &noise(12, 1));
    draft.graph.node.push(constant("w", weights));
    let bias = TensorProto::from_f32("", &[3], &noise(3, 2));
    draft.graph.node.push(constant("b", bias));
    draft
        .node("MatMul", &["x", "w"], "h")
        .node("Add", &["h", "b"], "y")
        .result("y")
        .model()
}

/// Two layers by one function, whose slope is an attribute that is given once and once left to its default, and which
/// calls another function.
pub fn functions() -> Model {
    let call = |inputs: &[&str], output: &str| NodeProto {
        domain: Some("local".to_owned()),
        name: Some(format!("call {output}")),
        ..node("layer", inputs, output)
    };
    let mut draft =
        four()
            .weights("first", &[4, 4], &noise(16, 1))
            .weights("second", &[4, 3], &noise(12, 2));
    let steep = AttributeProto::from_float("slope", 0.5);
    draft
        .graph
        .node
        .push(with(call(&["x", "first"], "h"), steep));
    draft.graph.node.push(call(&["h", "second"], "y"));
    let by_reference = AttributeProto {
        name: Some("alpha".to_owned()),
        ref_attr_name: Some("slope".to_owned()),
        ..AttributeProto::from_float("alpha", 0.0)
    };
    let standard = || {
        vec![
            OperatorSetIdProto {
                domain: None,
                version: Some(21),
            },
            OperatorSetIdProto {
                domain: Some("local".to_owned()),
                version: Some(1),
            },
        ]
    };
    let layer = FunctionProto {
        name: Some("layer".to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["in".to_owned(), "weights".to_owned()],
        output: vec!["out".to_owned()],
        attribute_proto: vec![AttributeProto::from_float("slope", 0.125)],
        node: vec![
            NodeProto {
                domain: Some("local".to_owned()),
                ..node("product", &["in", "weights"], "h")
            },
            with(
                node("LeakyRelu", &["h"], "out"),
                AttributeProto {
                    f: None,
                    ..by_reference
                },
            ),
        ],
        opset_import: standard(),
        ..FunctionProto::default()
    };
    let product = FunctionProto {
        name: Some("product".to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["a".to_owned(), "b".to_owned()],
        output: vec!["h".to_owned()],
        node: vec![
            node("MatMul", &["a", "b"], "inner"),
            constant("two", TensorProto::from_f32("", &[1], &[2.0])),
            node("Mul", &["inner", "two"], "h"),
        ],
        opset_import: standard(),
        ..FunctionProto::default()
    };
    let mut proto = draft.result("y").model().proto().clone();
    proto.opset_import = standard();
    proto.functions = vec![layer, product];
    Model::from_proto(proto).unwrap()
}

/// A recurrent layer over five steps, as Keras' exporter writes it: the body has weights of its own, counts its turns, and
/// gives every state as a row.
pub fn recurrence() -> Model {
    let info = |name: &str, element: ElementType| {
        ValueInfoProto::from_info(&TensorInfo::new(name, element, Vec::new()))
    };
    let float = |name: &str| {
        ValueInfoProto::from_info(&TensorInfo {
            dims: None,
            ..TensorInfo::new(name, ElementType::Float32, Vec::new())
        })
    };
    let along = |axis| AttributeProto::from_int("axis", axis);
    let body = GraphProto {
        name: Some("body".to_owned()),
        node: vec![
            with(node("Gather", &["time first", "turn"], "now"), along(0)),
            node("MatMul", &["now", "kernel"], "own"),
            constant("inner", TensorProto::from_f32("", &[3, 3], &noise(9, 5))),
            node("MatMul", &["state", "inner"], "kept"),
            node("Add", &["own", "kept"], "sum"),
            node("Tanh", &["sum"], "next"),
            node("Identity", &["next"], "row"),
            node("Add", &["count", "one"], "counted"),
            node("Less", &["counted", "steps"], "goes on"),
        ],
        initializer: vec![
            TensorProto::from_i64("one", &[], &[1]),
            TensorProto::from_f32("kernel", &[4, 3], &noise(12, 6)),
        ],
        input: vec![
            info("turn", ElementType::Int64),
            info("holds", ElementType::Bool),
            float("state"),
            info("count", ElementType::Int64),
        ],
        output: vec![
            info("goes on", ElementType::Bool),
            float("next"),
            info("counted", ElementType::Int64),
            float("row"),
        ],
        ..GraphProto::default()
    };
    let mut draft = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[batch(), Dim::Fixed(5), Dim::Fixed(4)],
        )
        .weights("start", &[1, 3], &noise(3, 7));
    let numbers = [("most", i64::MAX), ("zero", 0), ("steps", 5)];
    for (name, value) in numbers {
        draft
            .graph
            .initializer
            .push(TensorProto::from_i64(name, &[], &[value]));
    }
    let perm = vec![AttributeProto::from_ints("perm", &[1, 0, 2])];
    draft = draft
        .node_with("Transpose", &["x"], "time first", perm)
        .node("Less", &["zero", "steps"], "starts");
    let graph = AttributeProto {
        name: Some("body".to_owned()),
        g: Some(body),
        r#type: Some(5),
        ..AttributeProto::default()
    };
    draft.graph.node.push(NodeProto {
        output: ["last", "turns", "rows"].map(str::to_owned).to_vec(),
        name: Some("loop".to_owned()),
        ..with(
            node("Loop", &["most", "starts", "start", "zero"], "last"),
            graph,
        )
    });
    draft
        .node("Add", &["rows", "last"], "y")
        .result("y")
        .model()
}
