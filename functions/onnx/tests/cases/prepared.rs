//! Models that exporters wrap: functions of their own, weights as `Constant` nodes, branches that are always chosen, loops
//! with a constant number of turns, scikit-learn's operators.

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
        case("branches by sizes, within each other", branches(), &[3, 4]),
        case("a Scan backwards over five steps", scan(), &[3, 5, 4]),
        case("uneven parts as a sequence", sequence(), &[3, 4]),
        case("a pipeline of scikit-learn's", pipeline(), &[3, 4]),
        case("a linear classifier", classifier("SOFTMAX", "L1"), &[3, 4]),
        case(
            "two classes by a linear classifier",
            classifier("LOGISTIC", "L2"),
            &[3, 4],
        ),
        case("a linear regression", regressor(), &[3, 4]),
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

/// Weights and a bias as `Constant` nodes, and a number of the program's, which does not train.
pub fn constants() -> Model {
    let mut draft = four();
    let weights = TensorProto::from_f32("", &[4, 3], &noise(12, 1));
    draft.graph.node.push(constant("w", weights));
    let bias = TensorProto::from_f32("", &[3], &noise(3, 2));
    draft.graph.node.push(constant("b", bias));
    let twice = with(
        node("Constant", &[], "twice"),
        AttributeProto::from_floats("value_floats", &[2.0]),
    );
    draft.graph.node.push(twice);
    draft
        .node("MatMul", &["x", "w"], "h")
        .node("Mul", &["h", "twice"], "doubled")
        .node("Add", &["doubled", "b"], "y")
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

fn float(name: &str) -> ValueInfoProto {
    ValueInfoProto::from_info(&TensorInfo {
        dims: None,
        ..TensorInfo::new(name, ElementType::Float32, Vec::new())
    })
}

/// A branch without inputs, which ends in `y`.
fn branch(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> GraphProto {
    GraphProto {
        name: Some("branch".to_owned()),
        output: vec![float("chosen")],
        node,
        initializer,
        ..GraphProto::default()
    }
}

fn choice(condition: &str, output: &str, yes: GraphProto, no: GraphProto) -> NodeProto {
    let node = with(
        node("If", &[condition], output),
        AttributeProto::from_graph("then_branch", yes),
    );
    with(node, AttributeProto::from_graph("else_branch", no))
}

/// A branch that is chosen because x has four features. In it, after weights of its own, one is left because of an
/// initializer.
pub fn branches() -> Model {
    let other = || branch(vec![node("Neg", &["x"], "chosen")], Vec::new());
    let inner = branch(vec![node("Tanh", &["h"], "chosen")], Vec::new());
    let outer = branch(
        vec![
            node("MatMul", &["x", "own"], "product"),
            node("Add", &["product", "twice"], "h"),
            choice("never", "chosen", other(), inner),
        ],
        vec![
            TensorProto::from_f32("own", &[4, 3], &noise(12, 1)),
            TensorProto::from_f32("twice", &[3], &noise(3, 4)),
        ],
    );
    // The same name in the branch that is not chosen is another tensor.
    let mut left = other();
    left.initializer = vec![TensorProto::from_f32("twice", &[2], &noise(2, 3))];
    let mut draft = four().weights("bias", &[3], &noise(3, 2));
    let never = TensorProto::from_raw("never", ElementType::Bool, &[], vec![0]);
    draft.graph.initializer.push(never);
    draft = draft
        .integers("one", &[1])
        .integers("four", &[4])
        .node("Shape", &["x"], "shape")
        .node("Gather", &["shape", "one"], "features")
        .node("Equal", &["features", "four"], "is four");
    draft.graph.node.push(choice("is four", "z", outer, left));
    draft.node("Add", &["z", "bias"], "y").result("y").model()
}

/// States that go backwards over five steps, each of them a row along the second axis, in the order of the steps.
pub fn scan() -> Model {
    let body = GraphProto {
        name: Some("body".to_owned()),
        node: vec![
            node("MatMul", &["now", "kernel"], "own"),
            node("Mul", &["state", "decay"], "kept"),
            node("Add", &["own", "kept"], "next"),
            node("Tanh", &["next"], "row"),
        ],
        initializer: vec![TensorProto::from_f32("decay", &[3], &noise(3, 6))],
        input: vec![float("state"), float("now")],
        output: vec![float("next"), float("row")],
        ..GraphProto::default()
    };
    let time = [batch(), Dim::Fixed(5), Dim::Fixed(4)];
    let mut draft = Draft::new()
        .input("x", ElementType::Float32, &time)
        .weights("kernel", &[4, 3], &noise(12, 1))
        .weights("start", &[1, 3], &noise(3, 7));
    let options = [
        AttributeProto::from_int("num_scan_inputs", 1),
        AttributeProto::from_ints("scan_input_axes", &[1]),
        AttributeProto::from_ints("scan_output_axes", &[-2]),
        AttributeProto::from_ints("scan_input_directions", &[1]),
        AttributeProto::from_ints("scan_output_directions", &[1]),
    ];
    let mut scan = with(
        node("Scan", &["first", "x"], "last"),
        AttributeProto::from_graph("body", body),
    );
    scan.attribute.extend(options);
    scan.output.push("rows".to_owned());
    draft = draft
        .integers("one", &[1])
        .integers("zeroth", &[0])
        .node("Shape", &["x"], "shape")
        .node("Gather", &["shape", "zeroth"], "records")
        .node_with(
            "Concat",
            &["records", "one"],
            "target",
            vec![AttributeProto::from_int("axis", 0)],
        )
        .node("Expand", &["start", "target"], "first");
    draft.graph.node.push(scan);
    draft
        .node("Unsqueeze", &["last", "one"], "column")
        .node("Mul", &["rows", "column"], "y")
        .result("y")
        .model()
}

/// Cut into uneven parts by sizes from the shape, into rows, and into equal parts but for the last; joined again.
pub fn sequence() -> Model {
    let along = |axis| vec![AttributeProto::from_int("axis", axis)];
    let mut draft = four()
        .weights("w", &[4, 5], &noise(20, 1))
        .integers("one", &[1])
        .integers("three", &[3]);
    for (name, value) in [("zeroth", 0), ("first", 1), ("last", -1), ("two", 2)] {
        let number = TensorProto::from_i64(name, &[], &[value]);
        draft.graph.initializer.push(number);
    }
    let rows = vec![
        AttributeProto::from_int("axis", 1),
        AttributeProto::from_int("keepdims", 0),
    ];
    draft
        .node("MatMul", &["x", "w"], "h")
        .node("Shape", &["h"], "shape")
        .node("Gather", &["shape", "one"], "width")
        .node("Sub", &["width", "three"], "rest")
        .node_with("Concat", &["three", "rest"], "sizes", along(0))
        .node_with("SplitToSequence", &["h", "sizes"], "uneven", along(1))
        .node("SequenceAt", &["uneven", "zeroth"], "a")
        .node("SequenceAt", &["uneven", "last"], "b")
        .node_with("SplitToSequence", &["h", "two"], "equal", along(1))
        .node("SequenceAt", &["equal", "last"], "c")
        .node_with("SplitToSequence", &["h"], "rows", rows)
        .node("SequenceAt", &["rows", "first"], "d")
        .node("SequenceAt", &["rows", "last"], "e")
        .node("SequenceConstruct", &["d", "e"], "both")
        .node_with(
            "ConcatFromSequence",
            &["both"],
            "stacked",
            [along(1), vec![AttributeProto::from_int("new_axis", 1)]].concat(),
        )
        .node("SequenceConstruct", &["b", "a", "c", "stacked"], "all")
        .node("SequenceAt", &["all", "first"], "again")
        .node_with("ConcatFromSequence", &["all"], "joined", along(1))
        .node_with("Concat", &["joined", "again"], "y", along(1))
        .result("y")
        .model()
}

fn classical(mut draft: Draft, operator: &str, inputs: &[&str], output: &str) -> Draft {
    draft.graph.node.push(NodeProto {
        domain: Some("ai.onnx.ml".to_owned()),
        name: Some(operator.to_owned()),
        ..node(operator, inputs, output)
    });
    draft
}

fn set(mut draft: Draft, attributes: Vec<AttributeProto>) -> Draft {
    let last = draft.graph.node.last_mut().unwrap();
    last.attribute.extend(attributes);
    draft
}

fn with_classical_domain(draft: Draft) -> Model {
    let mut proto = draft.result("y").model().proto().clone();
    proto.opset_import.push(OperatorSetIdProto {
        domain: Some("ai.onnx.ml".to_owned()),
        version: Some(1),
    });
    Model::from_proto(proto).unwrap()
}

/// Missing values filled, features scaled, picked, made of unit length and one-hot, and a layer.
pub fn pipeline() -> Model {
    let mut draft = classical(four().opset(15), "Imputer", &["x"], "filled");
    let missing = AttributeProto::from_float("replaced_value_float", f32::NAN);
    let means = AttributeProto::from_floats("imputed_value_floats", &[0.1, 0.2, 0.3, 0.4]);
    draft = set(draft, vec![means, missing]);
    draft = classical(draft, "Scaler", &["filled"], "scaled");
    let (offset, scale) = (&[0.5, -0.25, 0.0, 1.0], &[2.0, 0.5, 1.0, 3.0]);
    draft = set(
        draft,
        vec![
            AttributeProto::from_floats("offset", offset),
            AttributeProto::from_floats("scale", scale),
        ],
    );
    draft = classical(
        draft.integers("places", &[2, 0]),
        "ArrayFeatureExtractor",
        &["scaled", "places"],
        "picked",
    );
    for norm in ["MAX", "L1", "L2"] {
        draft = set(
            classical(draft, "Normalizer", &["picked"], norm),
            vec![AttributeProto::from_string("norm", norm)],
        );
        let node = draft.graph.node.last_mut().unwrap();
        node.name = Some(format!("Normalizer {norm}"));
    }
    draft = classical(draft, "Binarizer", &["scaled"], "signs");
    draft = set(draft, vec![AttributeProto::from_float("threshold", 0.25)]);
    let along = vec![AttributeProto::from_int("axis", 1)];
    draft = draft.node_with("ArgMax", &["picked"], "class", along);
    draft = classical(draft, "OneHotEncoder", &["class"], "stacked");
    draft = set(
        draft,
        vec![AttributeProto::from_ints("cats_int64s", &[1, 0])],
    );
    draft = draft
        .integers("rows", &[-1, 2])
        .node("Reshape", &["stacked", "rows"], "hot");
    draft = classical(
        draft,
        "FeatureVectorizer",
        &["hot", "MAX", "L1", "L2", "signs"],
        "features",
    );
    draft = set(
        draft,
        vec![AttributeProto::from_ints(
            "inputdimensions",
            &[2, 2, 2, 2, 4],
        )],
    );
    draft = draft
        .weights("w", &[12, 3], &noise(36, 1))
        .node("MatMul", &["features", "w"], "y");
    with_classical_domain(draft)
}

/// A linear classifier with its label aside, and probabilities that are normalized once more.
pub fn classifier(ending: &str, norm: &str) -> Model {
    let classes: &[i64] = if ending == "SOFTMAX" {
        &[3, 5, 9]
    } else {
        &[0, 1]
    };
    let mut draft = classical(four().opset(15), "LinearClassifier", &["x"], "label");
    let node = draft.graph.node.last_mut().unwrap();
    node.output.push("scores".to_owned());
    draft = set(
        draft,
        vec![
            AttributeProto::from_ints("classlabels_ints", classes),
            AttributeProto::from_floats("coefficients", &noise(classes.len() * 4, 1)),
            AttributeProto::from_floats("intercepts", &noise(classes.len(), 2)),
            AttributeProto::from_int("multi_class", 1),
            AttributeProto::from_string("post_transform", ending),
        ],
    );
    draft = set(
        classical(draft, "Normalizer", &["scores"], "y"),
        vec![AttributeProto::from_string("norm", norm)],
    );
    with_classical_domain(draft)
}

pub fn regressor() -> Model {
    let draft = set(
        classical(four(), "LinearRegressor", &["x"], "y"),
        vec![
            AttributeProto::from_floats("coefficients", &noise(8, 1)),
            AttributeProto::from_floats("intercepts", &noise(2, 2)),
            AttributeProto::from_int("targets", 2),
        ],
    );
    with_classical_domain(draft)
}

/// A recurrent layer over five steps, as Keras' exporter writes it: the body has weights of its own, counts its turns, and
/// gives every state as a row.
pub fn recurrence() -> Model {
    let info = |name: &str, element: ElementType| {
        ValueInfoProto::from_info(&TensorInfo::new(name, element, Vec::new()))
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
    let graph = AttributeProto::from_graph("body", body);
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
