//! Models for tests.

use millrace_onnx::layers::{Activation, Layer, build};
use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Model, TensorInfo};

/// A model that takes four numbers and gives two; other seeds give other weights.
pub fn dense(seed: u64) -> Vec<u8> {
    let layer = Layer::Dense {
        units: 2,
        activation: Activation::None,
        bias: true,
    };
    build(&[4], &[layer], seed).unwrap().encode()
}

/// A model that takes five numbers, which no record of these tests has.
pub fn wider() -> Vec<u8> {
    let layer = Layer::Dense {
        units: 2,
        activation: Activation::None,
        bias: true,
    };
    build(&[5], &[layer], 1).unwrap().encode()
}

/// A model that divides 1 by each of its four numbers, and so is infinite at zero.
pub fn reciprocal() -> Vec<u8> {
    let nodes = vec![node("Reciprocal", &["input"], "output", Vec::new())];
    model(nodes, Vec::new(), &[Dim::Fixed(4)])
}

/// A model that looks each of its numbers up in a table of `size` entries, and fails, for its whole
/// batch, where one lies behind the table's end.
pub fn table(size: usize) -> Vec<u8> {
    let entries: Vec<f32> = (0_u16..).map(f32::from).take(size).collect();
    let table = TensorProto::from_f32("table", &[size], &entries);
    // 7 is INT64 among the format's element types.
    let to_integer = vec![AttributeProto::from_int("to", 7)];
    let nodes = vec![
        node("Cast", &["input"], "index", to_integer),
        node("Gather", &["table", "index"], "output", Vec::new()),
    ];
    model(nodes, vec![table], &[Dim::Fixed(4)])
}

/// The same by another name of its output.
pub fn reciprocal_named(output: &str) -> Vec<u8> {
    let nodes = vec![node("Reciprocal", &["input"], output, Vec::new())];
    model_giving(output, nodes, Vec::new(), &[Dim::Fixed(4)])
}

fn node(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: Some(output.to_owned()),
        op_type: Some(operator.to_owned()),
        attribute,
        ..NodeProto::default()
    }
}

fn model(node: Vec<NodeProto>, initializer: Vec<TensorProto>, row: &[Dim]) -> Vec<u8> {
    model_giving("output", node, initializer, row)
}

fn model_giving(
    output: &str,
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    row: &[Dim],
) -> Vec<u8> {
    let described = |name: &str| {
        let batch = Dim::Symbolic("batch".to_owned());
        let dims = std::iter::once(batch).chain(row.iter().cloned()).collect();
        ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims))
    };
    let graph = GraphProto {
        node,
        name: Some("test".to_owned()),
        initializer,
        input: vec![described("input")],
        output: vec![described(output)],
        ..GraphProto::default()
    };
    Model::from_proto(ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(21),
        }],
        graph: Some(graph),
        ..ModelProto::default()
    })
    .unwrap()
    .encode()
}

/// A model that gives its four numbers back, and never ends where one of them is `stop`.
pub fn endless(stop: f32) -> Vec<u8> {
    let scalar = |name: &str, element| {
        ValueInfoProto::from_info(&TensorInfo::new(name, element, Vec::new()))
    };
    let rows = |name: &str| {
        let dims = vec![Dim::Symbolic("batch".to_owned()), Dim::Fixed(4)];
        ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims))
    };
    let body = GraphProto {
        node: vec![
            node("Identity", &["go_on"], "still", Vec::new()),
            node("Identity", &["carried"], "next", Vec::new()),
        ],
        name: Some("body".to_owned()),
        input: vec![
            scalar("round", ElementType::Int64),
            scalar("go_on", ElementType::Bool),
            rows("carried"),
        ],
        output: vec![scalar("still", ElementType::Bool), rows("next")],
        ..GraphProto::default()
    };
    let body = AttributeProto {
        name: Some("body".to_owned()),
        r#type: Some(5), // GRAPH
        g: Some(body),
        ..AttributeProto::default()
    };
    // 1 is FLOAT and 9 is BOOL among the format's element types.
    let cast = |to| vec![AttributeProto::from_int("to", to)];
    let to_scalar = vec![AttributeProto::from_int("keepdims", 0)];
    let nodes = vec![
        node("Equal", &["input", "stop"], "equal", Vec::new()),
        node("Cast", &["equal"], "number", cast(1)),
        node("ReduceMax", &["number"], "any", to_scalar),
        node("Cast", &["any"], "forever", cast(9)),
        node("Loop", &["", "forever", "input"], "output", vec![body]),
    ];
    let stop = TensorProto::from_f32("stop", &[], &[stop]);
    model(nodes, vec![stop], &[Dim::Fixed(4)])
}
