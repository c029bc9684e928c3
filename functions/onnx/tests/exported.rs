//! What exporters write around a model, set aside for training and kept in the result.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
mod support;

use millrace_onnx::proto::{AttributeProto, NodeProto, TensorProto, ValueInfoProto};
use millrace_onnx::{Dim, ElementType, Loss, Model, Optimizer, StepGraph, Tensor, check};
use support::{Draft, batch, noise, options};

fn linear() -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "scores")
}

fn step(model: &Model) -> StepGraph {
    StepGraph::build(model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap()
}

/// Adds an output that is no float32 tensor.
fn ending(mut draft: Draft, output: &str, element: ElementType) -> Model {
    let mut info = millrace_onnx::TensorInfo::new(output, element, Vec::new());
    info.dims = None;
    draft.graph.output.push(ValueInfoProto::from_info(&info));
    draft.model()
}

#[test]
fn a_step_ends_in_front_of_a_tail_and_the_result_keeps_it() {
    let model = ending(
        linear()
            .node("Softmax", &["scores"], "probabilities")
            .node("ArgMax", &["probabilities"], "class")
            .node("Squeeze", &["class"], "label"),
        "label",
        ElementType::Int64,
    );
    let step = step(&model);
    assert_eq!(step.parameters[0].name, "w");
    assert!(
        step.step
            .graph()
            .node
            .iter()
            .all(|node| node.op_type() != "ArgMax")
    );
    let trained = [("w".to_owned(), vec![0.5; 12])].into();
    let trained = model.with_parameters(&trained).unwrap();
    assert_eq!(trained.graph().node, model.graph().node);
    assert_eq!(
        trained.graph().initializer[0].to_f32().unwrap(),
        vec![0.5; 12]
    );
}

/// As skl2onnx ends a classifier: names of classes, and a map for each record.
#[test]
fn probabilities_stand_in_front_of_a_map() {
    let mut draft = linear()
        .node("Softmax", &["scores"], "probabilities")
        .node("ArgMax", &["probabilities"], "class")
        .node("LabelEncoder", &["class"], "label")
        .node("ZipMap", &["probabilities"], "maps");
    for node in draft.graph.node.iter_mut().skip(3) {
        node.domain = Some("ai.onnx.ml".to_owned());
    }
    draft.graph.output.push(ValueInfoProto {
        name: Some("maps".to_owned()),
        ..ValueInfoProto::default()
    });
    let model = ending(draft, "label", ElementType::String);
    let step = step(&model);
    assert_eq!(step.parameters.len(), 1);
    assert!(
        step.step
            .graph()
            .node
            .iter()
            .all(|node| node.domain().is_empty())
    );
}

#[test]
fn several_tails_are_told_apart() {
    let model = ending(
        linear()
            .node("Tanh", &["scores"], "bent")
            .node("ArgMax", &["bent"], "first")
            .node("ArgMax", &["scores"], "second"),
        "first",
        ElementType::Int64,
    );
    let mut proto = model.proto().clone();
    let outputs = &mut proto.graph.as_mut().unwrap().output;
    let mut second = outputs[0].clone();
    second.name = Some("second".to_owned());
    outputs.push(second);
    let refused = check(&Model::from_proto(proto).unwrap(), None).unwrap_err();
    assert!(
        refused.to_string().ends_with("prediction: bent, scores"),
        "{refused}"
    );
}

#[test]
fn trained_constants_go_back_into_their_nodes() {
    let mut draft = Draft::new().input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)]);
    let value = TensorProto::from_f32("", &[4, 3], &noise(12, 1));
    draft.graph.node.push(NodeProto {
        op_type: Some("Constant".to_owned()),
        output: vec!["w".to_owned()],
        attribute: vec![AttributeProto::from_tensor("value", value)],
        ..NodeProto::default()
    });
    let model = draft.node("MatMul", &["x", "w"], "y").result("y").model();
    let step = step(&model);
    assert_eq!(step.parameters[0].initial, noise(12, 1));
    let same = model
        .with_parameters(&[("w".to_owned(), noise(12, 1))].into())
        .unwrap();
    assert_eq!(same.encode(), model.encode());
    let trained = model
        .with_parameters(&[("w".to_owned(), noise(12, 2))].into())
        .unwrap();
    let value = trained.graph().node[0].tensor("value").unwrap();
    assert_eq!(value.to_f32().unwrap(), noise(12, 2));
}

#[test]
fn layers_that_share_a_weight_are_told() {
    let model = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("tied", &[4, 4], &noise(16, 1))
        .weights("own", &[4], &noise(4, 2))
        .node("MatMul", &["x", "tied"], "h")
        .node("Add", &["h", "own"], "a")
        .node("MatMul", &["a", "tied"], "y")
        .result("y")
        .model();
    assert_eq!(
        check(&model, None).unwrap().shared,
        [("tied".to_owned(), 2)]
    );
}

#[test]
fn parameters_that_something_cuts_off_are_told_with_what_does() {
    let model = linear()
        .weights("v", &[3], &noise(3, 2))
        .node("Floor", &["v"], "steps")
        .node("Round", &["steps"], "again")
        .node("Mul", &["scores", "again"], "y")
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(found.trainable());
    let (_, why) = found
        .constants
        .iter()
        .find(|(name, _)| name == "v")
        .unwrap();
    assert!(why.contains("node 'make steps' (Floor)"), "{why}");

    let model = linear()
        .node("Round", &["scores"], "whole")
        .node("Relu", &["whole"], "y")
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(!found.trainable());
    assert_eq!(found.obstacles.len(), 1);
    assert_eq!(found.obstacles[0].node, "make whole");
}

#[test]
fn what_can_not_train_says_what_would_help() {
    let said = |draft: Draft| -> String {
        let found = check(&draft.result("y").model(), None).unwrap();
        assert!(!found.trainable());
        let obstacles = found.obstacles.iter().map(ToString::to_string);
        obstacles
            .chain(found.constants.into_iter().map(|(_, why)| why))
            .collect()
    };
    let image = || cases::images(&[1, 6, 6]).weights("w", &[2, 1, 3, 3], &noise(18, 1));
    let dilated = |automatic: &str| {
        let dilations = AttributeProto::from_ints("dilations", &[2, 1]);
        let automatic = AttributeProto::from_string("auto_pad", automatic);
        image().node_with("Conv", &["h", "w"], "y", vec![automatic, dilations])
    };
    let model = dilated("VALID").result("y").model();
    assert!(check(&model, None).unwrap().trainable());
    for automatic in ["SAME_UPPER", "SAME_LOWER"] {
        let said = said(dilated(automatic));
        assert!(said.contains("explicit `pads`"), "{said}");
    }
    let sampled = image()
        .node("Conv", &["h", "w"], "filtered")
        .weights("grid", &[1, 2, 2, 2], &[0.5; 8])
        .node("GridSample", &["filtered", "grid"], "y");
    let said_of_grid = said(sampled);
    assert!(said_of_grid.contains("Resize"), "{said_of_grid}");

    let mut double = Draft::new().input("x", ElementType::Float64, &[batch(), Dim::Fixed(4)]);
    let weights = TensorProto::from_f64("w", &[4, 3], &[0.5; 12]);
    double.graph.initializer.push(weights);
    let double = double.node("MatMul", &["x", "w"], "scores");
    let error = check(&double.clone().result("scores").model(), None).unwrap_err();
    assert!(error.to_string().contains("model.float()"), "{error}");
    let single = vec![AttributeProto::from_int(
        "to",
        ElementType::Float32.code().into(),
    )];
    let said_of_double = said(double.node_with("Cast", &["scores"], "y", single));
    assert!(said_of_double.contains("model.float()"), "{said_of_double}");
}

/// The mean that a normalization gives besides has no derivative here; to use it must not train by half a gradient.
#[test]
fn a_use_of_the_mean_that_a_normalization_gives_is_refused() {
    let mut draft = linear().weights("scale", &[3], &noise(3, 2)).node(
        "LayerNormalization",
        &["scores", "scale"],
        "normal",
    );
    draft.graph.node[1].output.push("mean".to_owned());
    let unused = draft.clone().node("Relu", &["normal"], "y").result("y");
    assert!(check(&unused.model(), None).unwrap().trainable());
    let used = draft.node("Add", &["normal", "mean"], "y").result("y");
    let found = check(&used.model(), None).unwrap();
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("make normal") && obstacle.contains("output 'mean'"),
        "{obstacle}"
    );
}

#[test]
fn trained_coefficients_go_back_into_a_linear_model() {
    let model = cases::prepared::classifier("SOFTMAX", "L1");
    let step = step(&model);
    let names = [
        "LinearClassifier.coefficients",
        "LinearClassifier.intercepts",
    ];
    let trained: Vec<&str> = step
        .parameters
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    assert_eq!(trained, names);
    assert_eq!(step.parameters[0].initial, noise(12, 1));
    let values = [
        (names[0].to_owned(), noise(12, 8)),
        (names[1].to_owned(), noise(3, 9)),
    ];
    let trained = model.with_parameters(&values.into()).unwrap();
    let node = &trained.graph().node[0];
    assert_eq!(node.floats("coefficients").unwrap(), noise(12, 8));
    assert_eq!(node.floats("intercepts").unwrap(), noise(3, 9));
    let same = step.parameters.iter();
    let same = same.map(|found| (found.name.clone(), found.initial.clone()));
    let same = model.with_parameters(&same.collect()).unwrap();
    assert_eq!(same.encode(), model.encode());
}

/// scikit-learn's exporter names no later operator set than a model needs.
#[test]
fn an_older_operator_set_of_which_nothing_has_changed_is_raised() {
    let mut proto = cases::prepared::regressor().proto().clone();
    proto.opset_import[0].version = Some(9);
    let step = step(&Model::from_proto(proto).unwrap());
    assert_eq!(step.step.opset(), Some(13));
    let older = linear()
        .opset(12)
        .node("Softmax", &["scores"], "y")
        .result("y");
    let refused = check(&older.model(), None).unwrap_err();
    assert!(refused.to_string().contains("operator set 12"), "{refused}");
}

/// An output that gives the classes as numbers stands beside the one that learns.
#[test]
fn of_several_outputs_the_one_that_is_no_tail_is_the_prediction() {
    let to = i64::from(ElementType::Float32.code());
    let to = vec![AttributeProto::from_int("to", to)];
    let model = linear()
        .node("Softmax", &["scores"], "probabilities")
        .node("ArgMax", &["probabilities"], "class")
        .node_with("Cast", &["class"], "number", to)
        .result("number")
        .result("probabilities")
        .model();
    assert!(check(&model, None).unwrap().trainable());
}

/// A weight whose name another branch has as well does not train: its values would not find their way back.
#[test]
fn trained_weights_go_back_into_a_branch() {
    let model = cases::prepared::branches();
    let step = step(&model);
    let trained: Vec<&str> = step
        .parameters
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    assert_eq!(trained, ["bias", "own"]);
    let values = [("own".to_owned(), vec![0.5; 12])].into();
    let trained = model.with_parameters(&values).unwrap();
    let branch = trained
        .graph()
        .node
        .iter()
        .find_map(|node| node.graph("then_branch"));
    let own = &branch.unwrap().initializer[0];
    assert_eq!(own.to_f32().unwrap(), vec![0.5; 12]);
}

#[test]
fn control_flow_whose_shape_is_not_constant_is_named() {
    let model = cases::prepared::branches();
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    // By a feature's sign in place of the number of features.
    graph.node.retain(|node| node.op_type() != "Equal");
    graph.node.insert(
        0,
        NodeProto {
            op_type: Some("Greater".to_owned()),
            input: vec!["x".to_owned(), "x".to_owned()],
            output: vec!["is four".to_owned()],
            ..NodeProto::default()
        },
    );
    let found = check(&Model::from_proto(proto).unwrap(), None).unwrap();
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("node 'z' (If) is control flow whose shape is not constant"),
        "{obstacle}"
    );
}

/// As PyTorch's exporters write an `EmbeddingBag` where they have no operator of ONNX's for it.
#[test]
fn an_operator_of_pytorchs_own_is_told_with_what_helps() {
    for (domain, operator) in [("org.pytorch.aten", "ATen"), ("aten", "embedding_bag")] {
        let mut draft = linear().node(operator, &["scores"], "y");
        let node = draft.graph.node.last_mut().unwrap();
        node.domain = Some(domain.to_owned());
        let found = check(&draft.result("y").model(), None).unwrap();
        let obstacle = found.obstacles[0].to_string();
        assert!(
            obstacle.contains("PyTorch's own") && obstacle.contains("Embedding and its sum"),
            "{obstacle}"
        );
    }
}

/// As PyTorch's older exporter writes the mask of an attention.
#[test]
fn a_mask_of_infinite_numbers_does_not_train() {
    for (number, reason) in [(f32::NEG_INFINITY, "as masks do"), (f32::NAN, "diverged")] {
        let model = linear()
            .weights("mask", &[3], &[0.0, number, 0.0])
            .node("Add", &["scores", "mask"], "masked")
            .node("Softmax", &["masked"], "y")
            .result("y")
            .model();
        let found = check(&model, None).unwrap();
        assert_eq!(found.parameters.len(), 1);
        let (name, why) = &found.constants[0];
        assert!(name == "mask" && why.contains(reason), "{why}");
    }
}

#[test]
fn numbers_of_the_program_do_not_train() {
    let found = check(&cases::prepared::constants(), None).unwrap();
    let names: Vec<&str> = found
        .parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["w", "b"]);
}

/// The model as one of PyTorch's exporters writes it.
fn by_pytorch(draft: Draft) -> Model {
    let mut proto = draft.model().proto().clone();
    proto.producer_name = Some("pytorch".to_owned());
    Model::from_proto(proto).unwrap()
}

fn trained(model: &Model) -> Vec<String> {
    let parameters = check(model, None).unwrap().parameters.into_iter();
    parameters.map(|(name, _)| name).collect()
}

/// The scale of an attention, a mask that is added, what a function makes of nothing: under such names the newer exporter
/// also writes what it has computed of weights, and that trains, at its first zeros as well.
#[test]
fn what_pytorch_has_written_of_the_program_does_not_train() {
    let draft = linear()
        .weights("val_3", &[1], &[0.5])
        .weights("mask", &[3], &[0.0, -1e9, -1e9])
        .weights("zeros_1", &[3], &[0.0; 3])
        .weights("val_4", &[3], &[0.0; 3])
        .weights("val_5", &[3], &noise(3, 2))
        .weights("val_6", &[1, 1], &[1.0])
        .weights("intercept", &[3], &[-37e3, -1500.0, -2e3])
        .weights("ones.weight", &[3], &[1.0; 3])
        .node("Mul", &["scores", "val_3"], "scaled")
        .node("Add", &["scaled", "zeros_1"], "based")
        .node("Add", &["based", "val_4"], "moved")
        .node("Mul", &["moved", "val_5"], "curved")
        .node("Mul", &["curved", "val_6"], "sloped")
        .node("Add", &["sloped", "intercept"], "bent")
        .node("Mul", &["bent", "ones.weight"], "normal")
        .node("Add", &["normal", "mask"], "masked")
        .node("Softmax", &["masked"], "y")
        .result("y");
    let other = trained(&draft.clone().model());
    assert_eq!(
        other,
        [
            "w",
            "val_3",
            "zeros_1",
            "val_4",
            "val_5",
            "val_6",
            "intercept",
            "ones.weight"
        ]
    );
    let model = by_pytorch(draft);
    let weights = ["w", "val_4", "val_5", "val_6", "intercept", "ones.weight"];
    assert_eq!(trained(&model), weights);
    let constants = check(&model, None).unwrap().constants;
    let why = |name: &str| &constants.iter().find(|(found, _)| found == name).unwrap().1;
    assert!(why("mask").contains("as masks do"), "{}", why("mask"));
    assert!(why("val_3").contains("made by the program"));
    let step = step(&model);
    assert_eq!(step.parameters.len(), weights.len());
}

/// PyTorch's older exporter writes tensors that the program makes as `Constant` nodes; the weights of a frozen program as well.
#[test]
fn constants_of_pytorch_train_where_nothing_else_does() {
    let value = TensorProto::from_f32("", &[3], &noise(3, 1));
    let scale = || NodeProto {
        op_type: Some("Constant".to_owned()),
        output: vec!["scale".to_owned()],
        attribute: vec![AttributeProto::from_tensor("value", value.clone())],
        ..NodeProto::default()
    };
    let mut beside = linear();
    beside.graph.node.push(scale());
    let beside = beside.node("Mul", &["scores", "scale"], "y").result("y");
    assert_eq!(trained(&by_pytorch(beside.clone())), ["w"]);
    let told = check(&by_pytorch(beside.clone()), None).unwrap().constants;
    let (name, why) = &told[0];
    assert!(
        name == "scale" && why.contains("`Constant` node"),
        "{told:?}"
    );
    assert_eq!(trained(&beside.model()), ["w", "scale"]);
    let mut alone = Draft::new().input("x", ElementType::Float32, &[batch(), Dim::Fixed(3)]);
    alone.graph.node.push(scale());
    let alone = alone.node("Mul", &["x", "scale"], "y").result("y");
    assert_eq!(trained(&by_pytorch(alone)), ["scale"]);
}

/// As scikit-learn's exporter writes the classes of an `SGDClassifier`, of which each is told from all others: where the exponential
/// is infinite, the gradient is 0 and not NaN.
#[test]
fn a_sigmoid_that_is_written_out_has_a_gradient_wherever_it_ends() {
    let model = linear()
        .number("negate", -1.0)
        .number("one", 1.0)
        .node("Mul", &["scores", "negate"], "negated")
        .node("Exp", &["negated"], "power")
        .node("Add", &["one", "power"], "sum")
        .node("Reciprocal", &["sum"], "y")
        .result("y")
        .model();
    let step = step(&model);
    let nodes = step.evaluation.graph().node.iter();
    let operators: Vec<&str> = nodes.map(NodeProto::op_type).take(2).collect();
    assert_eq!(operators, ["MatMul", "Sigmoid"]);
    let far = Tensor::from_f32(&[1, 4], &[-4000.0; 4]);
    let labels = Tensor::from_f32(&[1, 3], &[1.0; 3]);
    let batch = [("x".to_owned(), far), ("labels".to_owned(), labels)].into();
    let outputs = support::run_step(&step, &batch, &support::initial_state(&step), 1.0, 1);
    let weights = outputs["w.new"].as_floats().unwrap();
    assert!(
        weights.iter().all(|weight| weight.is_finite()),
        "{weights:?}"
    );
}

/// The 1 of 1 − p, and what a `PowerTransformer` was fitted to.
#[test]
fn settings_of_scikit_learn_do_not_train() {
    let draft = linear()
        .weights("unity", &[1], &[1.0])
        .weights("pref_Powcst1", &[3], &noise(3, 2))
        .weights("pref_Mulcst", &[3], &[1.0, 0.0, 1.0])
        .node("Sub", &["unity", "scores"], "rest")
        .node("Pow", &["rest", "pref_Powcst1"], "bent")
        .node("Mul", &["bent", "pref_Mulcst"], "y")
        .result("y");
    let mut proto = draft.clone().model().proto().clone();
    assert_eq!(trained(&draft.model()).len(), 4);
    proto.producer_name = Some("skl2onnx".to_owned());
    assert_eq!(trained(&Model::from_proto(proto).unwrap()), ["w"]);
}

/// PyTorch's older exporter writes an embedding that is also the last layer twice: each copy has its own part of the gradient.
#[test]
fn a_weight_that_is_written_twice_is_two_parameters() {
    let values = noise(16, 1);
    let twice = |first: &str, second: &str| {
        let mut draft = Draft::new().input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)]);
        for name in [first, second] {
            if draft
                .graph
                .initializer
                .iter()
                .all(|tensor| tensor.name() != name)
            {
                draft = draft.weights(name, &[4, 4], &values);
            }
        }
        draft
            .node("MatMul", &["x", first], "h")
            .node("Tanh", &["h"], "bent")
            .node("MatMul", &["bent", second], "y")
            .result("y")
            .model()
    };
    let (apart, tied) = (twice("a", "b"), twice("a", "a"));
    assert!(check(&apart, None).unwrap().shared.is_empty());
    let x = Tensor::from_f32(&[3, 4], &noise(12, 3));
    let labels = Tensor::from_f32(&[3, 4], &noise(12, 4));
    let inputs: support::Tensors = [("x".to_owned(), x), ("labels".to_owned(), labels)].into();
    support::assert_gradients(&apart, Loss::MeanSquaredError, &inputs);
    let gradients = |model: &Model| -> Vec<Vec<f64>> {
        let step = step(model);
        let state = support::initial_state(&step);
        let outputs = support::run_step(&step, &inputs, &state, 1.0, 1);
        let change = |name: &String| -> Vec<f64> {
            let (before, after) = (&state[name], &outputs[&format!("{name}.new")]);
            let pairs = before
                .as_floats()
                .unwrap()
                .iter()
                .zip(after.as_floats().unwrap());
            pairs.map(|(before, after)| before - after).collect()
        };
        step.parameters
            .iter()
            .map(|parameter| change(&parameter.name))
            .collect()
    };
    let parts = gradients(&apart);
    assert_eq!(parts.len(), 2);
    let whole = &gradients(&tied)[0];
    for (place, whole) in whole.iter().enumerate() {
        let sum = parts[0][place] + parts[1][place];
        assert!((sum - whole).abs() < 1e-12, "{sum} and {whole}");
    }
}

/// As `torch.sigmoid(x)[:, 0]` is written: the loss is of the numbers in front of the sigmoid.
#[test]
fn a_sigmoid_goes_behind_what_picks_from_it() {
    let pick = |draft: Draft| {
        let mut draft = draft;
        let index = TensorProto::from_i64("index", &[], &[1]);
        draft.graph.initializer.push(index);
        draft
    };
    let axis = || vec![AttributeProto::from_int("axis", 1)];
    let before = pick(linear())
        .node("Sigmoid", &["scores"], "probabilities")
        .node_with("Gather", &["probabilities", "index"], "one", axis())
        .node("Identity", &["one"], "y")
        .result("y")
        .model();
    let behind = pick(linear())
        .node_with("Gather", &["scores", "index"], "one", axis())
        .node("Sigmoid", &["one"], "y")
        .result("y")
        .model();
    let x = Tensor::from_f32(&[3, 4], &noise(12, 3));
    let labels = Tensor::from_f32(&[3], &[1.0, 0.0, 1.0]);
    let inputs: support::Tensors = [("x".to_owned(), x), ("labels".to_owned(), labels)].into();
    support::assert_gradients(&before, Loss::BINARY_CROSS_ENTROPY, &inputs);
    let loss = |model: &Model| {
        let options = options(Loss::BINARY_CROSS_ENTROPY, Optimizer::Sgd);
        let step = StepGraph::build(model, &options).unwrap();
        let state = support::initial_state(&step);
        let outputs = support::run_step(&step, &inputs, &state, 1.0, 1);
        let number = |name: &str| outputs[name].as_floats().unwrap().to_vec();
        [number("loss"), number("prediction")]
    };
    assert_eq!(loss(&before), loss(&behind));
}

/// For programs that train on a step graph with what they find in the model's initializers.
#[test]
fn a_linear_model_can_be_written_with_initializers() {
    let model = cases::prepared::classifier("SOFTMAX", "L1");
    let written = model.with_initializers().unwrap();
    for parameter in &step(&model).parameters {
        let mut initializers = written.graph().initializer.iter();
        let found = initializers.find(|tensor| tensor.name() == parameter.name);
        assert_eq!(found.unwrap().to_f32().unwrap(), parameter.initial);
    }
    let is_linear = |node: &NodeProto| node.op_type() == "LinearClassifier";
    assert!(!written.graph().node.iter().any(is_linear));
    assert_eq!(step(&written).parameters, step(&model).parameters);
}

/// As skl2onnx writes a logistic regression whose classes have names.
#[test]
fn the_label_of_a_linear_classifier_is_no_prediction() {
    let mut proto = cases::prepared::classifier("SOFTMAX", "L1").proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    let node = graph
        .node
        .iter_mut()
        .find(|node| node.op_type() == "LinearClassifier");
    let node = node.unwrap();
    node.attribute
        .retain(|attribute| !attribute.name().starts_with("classlabels"));
    node.attribute.push(AttributeProto::from_strings(
        "classlabels_strings",
        &["a", "b", "c"],
    ));
    let map = NodeProto {
        op_type: Some("ZipMap".to_owned()),
        domain: Some("ai.onnx.ml".to_owned()),
        input: vec![node.output[1].clone()],
        output: vec!["maps".to_owned()],
        ..NodeProto::default()
    };
    let label = node.output[0].clone();
    graph.node.push(map);
    graph.output = ["maps", &label]
        .map(|name| ValueInfoProto {
            name: Some(name.to_owned()),
            ..ValueInfoProto::default()
        })
        .to_vec();
    let found = check(&Model::from_proto(proto).unwrap(), None).unwrap();
    assert_eq!(found.parameters.len(), 2);
}
