//! Losses: their values against the formulas, computed here, and their gradients against finite differences.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{
    ClassLabels, CrossEntropy, Dim, ElementType, Error, Goal, Loss, Model, Optimizer, StepGraph,
    Tensor,
};
use support::{
    Draft, Tensors, assert_gradients, batch, check_gradients_with, initial_state, noise, options,
    run_step,
};

/// x[batch, 4] times w[4, width]: the tensor `z`.
fn logits(width: usize) -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, width], &noise(4 * width, 1))
        .node("MatMul", &["x", "w"], "z")
}

fn axis(axis: i64) -> Vec<AttributeProto> {
    vec![AttributeProto::from_int("axis", axis)]
}

fn data(rows: usize, labels: Tensor) -> Tensors {
    Tensors::from([
        (
            "x".to_owned(),
            Tensor::from_f32(&[rows, 4], &noise(4 * rows, 11)),
        ),
        ("labels".to_owned(), labels),
    ])
}

/// The loss and a prediction of the first step.
fn first_step(model: &Model, loss: Loss, batch: &Tensors) -> (f64, Vec<f64>) {
    let step = StepGraph::build(model, &options(loss, Optimizer::Sgd)).unwrap();
    let outputs = run_step(&step, batch, &initial_state(&step), 0.1, 1);
    let floats = |name: &str| outputs[name].as_floats().unwrap().to_vec();
    (floats("loss")[0], floats("prediction"))
}

fn assert_near(found: f64, expected: f64) {
    // Constants in the graph are float32.
    assert!(
        (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
        "{found}, expected {expected}"
    );
}

/// −Σ q ln p / W as the documentation has it, for positions of `classes` probabilities and their one-hot labels.
fn cross_entropy(p: &[f64], t: &[f64], options: &CrossEntropy, classes: usize) -> f64 {
    let weight = |class: usize| options.class_weights.get(class).copied().unwrap_or(1.0);
    let smoothing = options.label_smoothing;
    let (mut sum, mut total) = (0.0, 0.0);
    for (p, t) in p.chunks(classes).zip(t.chunks(classes)) {
        let counted: f64 = t.iter().sum();
        for class in 0..classes {
            #[expect(clippy::cast_precision_loss, reason = "few classes")]
            let spread = smoothing * counted / classes as f64;
            let q = weight(class) * ((1.0 - smoothing) * t[class] + spread);
            sum -= q * p[class].ln();
            total += weight(class) * t[class];
        }
    }
    sum / total
}

fn one_hot(labels: &[i64], classes: usize) -> Vec<f64> {
    let row = |&label: &i64| {
        (0..classes).map(move |class| f64::from(u8::from(i64::try_from(class) == Ok(label))))
    };
    labels.iter().flat_map(row).collect()
}

fn forms() -> Vec<CrossEntropy> {
    let weights = vec![0.5, 2.0, 1.0];
    let form = |label_smoothing, class_weights: &[f64]| CrossEntropy {
        label_smoothing,
        class_weights: class_weights.to_vec(),
        ..CrossEntropy::default()
    };
    vec![
        form(0.0, &[]),
        form(0.2, &[]),
        form(0.0, &weights),
        form(0.2, &weights),
    ]
}

/// Labels that are no class have no part: −1 is not the last one.
#[test]
fn cross_entropy_with_class_numbers_and_one_hot_labels() {
    let model = logits(3).node_with("Softmax", &["z"], "p", axis(-1));
    let model = model.output("p", &[batch(), Dim::Fixed(3)]).model();
    for form in forms() {
        for labels in [vec![2, 0, 1, 1], vec![2, -1, 1, -100], vec![0, 3, 0, 2]] {
            let hot = one_hot(&labels, 3);
            let numbers = data(4, Tensor::integers(&[4], labels.clone()));
            let loss = Loss::CrossEntropy(form.clone());
            let (found, p) = first_step(&model, loss.clone(), &numbers);
            assert_near(found, cross_entropy(&p, &hot, &form, 3));
            assert_gradients(&model, loss, &numbers);

            let rows = data(4, Tensor::floats(&[4, 3], hot));
            let loss = Loss::CrossEntropy(CrossEntropy {
                labels: ClassLabels::OneHot,
                ..form.clone()
            });
            assert_near(first_step(&model, loss.clone(), &rows).0, found);
            assert_gradients(&model, loss, &rows);
        }
    }
}

/// A batch may hold records of no class, or of classes whose weight is 0, and no others.
#[test]
fn a_batch_in_which_nothing_counts_changes_nothing() {
    let model = logits(3).output("z", &[batch(), Dim::Fixed(3)]).model();
    let weights = vec![0.0, 2.0, 1.0];
    let mut cases: Vec<_> = forms()
        .into_iter()
        .map(|form| (form, vec![-1; 4]))
        .collect();
    for mut form in forms() {
        form.class_weights.clone_from(&weights);
        cases.push((form, vec![0, -1, 0, 0]));
    }
    for (form, labels) in cases {
        let hot = Tensor::floats(&[4, 3], one_hot(&labels, 3));
        let numbers = Tensor::integers(&[4], labels);
        for (labels, kind) in [(numbers, ClassLabels::Numbers), (hot, ClassLabels::OneHot)] {
            let loss = Loss::CrossEntropy(CrossEntropy {
                labels: kind,
                ..form.clone()
            });
            let step = StepGraph::build(&model, &options(loss, Optimizer::Sgd)).unwrap();
            let outputs = run_step(&step, &data(4, labels), &initial_state(&step), 0.1, 1);
            assert_eq!(outputs["loss"].as_floats(), Some(&[0.0][..]), "{form:?}");
            assert_eq!(outputs["w.new"], initial_state(&step)["w"], "{form:?}");
        }
    }
}

#[test]
fn probabilities_of_classes_are_labels_too() {
    let model = logits(3).output("z", &[batch(), Dim::Fixed(3)]).model();
    let rows = data(
        2,
        Tensor::floats(&[2, 3], vec![0.2, 0.5, 0.3, 0.0, 0.75, 0.25]),
    );
    let loss = Loss::CrossEntropy(CrossEntropy {
        labels: ClassLabels::OneHot,
        ..CrossEntropy::default()
    });
    assert_gradients(&model, loss, &rows);
}

/// Classes stand behind the batch, as in images, or where the model's softmax has them, as in sequences.
#[test]
fn positions_of_higher_rank_have_classes() {
    let shaped = |dims: &[i64]| {
        let shape: Vec<i64> = [-1].iter().chain(dims).copied().collect();
        logits(6)
            .integers("shape", &shape)
            .node("Reshape", &["z", "shape"], "r")
    };
    let image = shaped(&[3, 2]);
    let sequence = shaped(&[2, 3]).node_with("Softmax", &["r"], "p", axis(-1));
    let named = shaped(&[2, 3]).result("r").model();
    let labels = [2, 0, 1, 1];
    let batch = data(2, Tensor::integers(&[2, 2], labels.to_vec()));
    for form in forms() {
        let loss = Loss::CrossEntropy(form.clone());
        let model = image.clone().result("r").model();
        assert_gradients(&model, loss.clone(), &batch);

        let model = sequence.clone().result("p").model();
        let (found, p) = first_step(&model, loss.clone(), &batch);
        assert_near(found, cross_entropy(&p, &one_hot(&labels, 3), &form, 3));
        assert_gradients(&model, loss, &batch);

        let by_axis = Loss::CrossEntropy(CrossEntropy {
            axis: Some(-1),
            ..form
        });
        assert_near(first_step(&named, by_axis.clone(), &batch).0, found);
        assert_gradients(&named, by_axis, &batch);
    }
    let other = Loss::CrossEntropy(CrossEntropy {
        axis: Some(1),
        ..CrossEntropy::default()
    });
    let refused = StepGraph::build(
        &sequence.result("p").model(),
        &options(other, Optimizer::Sgd),
    );
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("leave the axis out")
    );
}

/// However an exporter ends a model, the same loss comes out as of its logits.
#[test]
fn an_activation_at_the_end_is_taken_over() {
    let float = vec![AttributeProto::from_int(
        "to",
        i64::from(ElementType::Float32.code()),
    )];
    let labels = data(3, Tensor::integers(&[3], vec![2, 0, 1]));
    let plain = logits(3).result("z").model();
    let expected = first_step(&plain, Loss::CROSS_ENTROPY, &labels).0;
    let endings = [
        logits(3)
            .node_with("Softmax", &["z"], "p", axis(1))
            .node("Identity", &["p"], "i")
            .node_with("Cast", &["i"], "end", float),
        logits(3).node_with("LogSoftmax", &["z"], "end", axis(-1)),
        logits(3)
            .integers("wide", &[-1, 3, 1, 1])
            .integers("flat", &[-1, 3])
            .node("Reshape", &["z", "wide"], "r")
            .node_with("Softmax", &["r"], "p", axis(1))
            .node("Reshape", &["p", "flat"], "end"),
    ];
    for ending in endings {
        let model = ending.result("end").model();
        assert_near(first_step(&model, Loss::CROSS_ENTROPY, &labels).0, expected);
        assert_gradients(&model, Loss::CROSS_ENTROPY, &labels);
        let step = StepGraph::build(&model, &options(Loss::CROSS_ENTROPY, Optimizer::Sgd)).unwrap();
        let forward = step.step.graph().node.iter();
        let through = forward.filter(|node| node.label().starts_with("gradient/make p"));
        assert_eq!(through.count(), 0, "the gradient passes the softmax");
    }
}

#[test]
fn binary_cross_entropy_is_its_formula() {
    let answers = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    for smoothing in [0.0, 0.3] {
        let loss = Loss::BinaryCrossEntropy {
            label_smoothing: smoothing,
        };
        let batch = data(3, Tensor::floats(&[3, 2], answers.to_vec()));
        let sigmoid = logits(2).node("Sigmoid", &["z"], "p").result("p").model();
        let (found, p) = first_step(&sigmoid, loss.clone(), &batch);
        let smooth = |t: f64| (1.0 - smoothing) * t + smoothing / 2.0;
        let terms = p.iter().zip(answers);
        let sum: f64 = terms
            .map(|(p, t)| smooth(t) * p.ln() + (1.0 - smooth(t)) * (1.0 - p).ln())
            .sum();
        assert_near(found, -sum / 6.0);
        assert_gradients(&sigmoid, loss.clone(), &batch);

        let plain = logits(2).result("z").model();
        assert_near(first_step(&plain, loss.clone(), &batch).0, found);
        assert_gradients(&plain, loss.clone(), &batch);

        let flat = logits(2)
            .node("Sigmoid", &["z"], "p")
            .integers("flat", &[-1])
            .node("Reshape", &["p", "flat"], "end")
            .result("end")
            .model();
        let batch = data(3, Tensor::floats(&[6], answers.to_vec()));
        assert_near(first_step(&flat, loss.clone(), &batch).0, found);
        assert_gradients(&flat, loss, &batch);
    }
}

/// Where a sigmoid is rounded to 0 or 1 its logarithm would be infinite.
#[test]
fn binary_cross_entropy_stays_finite() {
    let model = logits(1).node("Sigmoid", &["z"], "p").result("p").model();
    let mut batch = data(2, Tensor::floats(&[2, 1], vec![1.0, 0.0]));
    let x = Tensor::floats(&[2, 4], [vec![-2e3; 4], vec![2e3; 4]].concat());
    let z: f64 = noise(4, 1).iter().map(|&w| 2e3 * f64::from(w)).sum();
    assert!(z.abs() > 800.0);
    batch.insert("x".to_owned(), x);
    let expected = if z > 0.0 { z } else { 0.0 };
    assert_near(
        first_step(&model, Loss::BINARY_CROSS_ENTROPY, &batch).0,
        expected,
    );
}

#[test]
fn losses_of_differences_are_their_formulas() {
    let model = logits(3).result("z").model();
    let labels: Vec<f64> = noise(12, 5)
        .into_iter()
        .map(|t| 2.0 * f64::from(t))
        .collect();
    let batch = data(4, Tensor::floats(&[4, 3], labels.clone()));
    let check = |loss: Loss, value: &dyn Fn(f64) -> f64| {
        let (found, y) = first_step(&model, loss.clone(), &batch);
        let differences = y.iter().zip(&labels).map(|(y, t)| y - t);
        assert_near(found, differences.map(value).sum::<f64>() / 12.0);
        assert_gradients(&model, loss, &batch);
    };
    check(Loss::MeanSquaredError, &|d| d * d);
    check(Loss::MeanAbsoluteError, &f64::abs);
    for delta in [0.4, 1.0] {
        check(Loss::Huber { delta }, &|d: f64| {
            if d.abs() <= delta {
                0.5 * d * d
            } else {
                delta * (d.abs() - 0.5 * delta)
            }
        });
    }
}

/// Two outputs that share a layer, with labels and losses of their own.
fn two_outputs() -> Model {
    logits(3)
        .weights("v", &[3, 2], &noise(6, 4))
        .node("Tanh", &["z"], "h")
        .node_with("Softmax", &["h"], "class", axis(-1))
        .node("MatMul", &["h", "v"], "value")
        .output("class", &[batch(), Dim::Fixed(3)])
        .output("value", &[batch(), Dim::Fixed(2)])
        .model()
}

fn goal(loss: Loss, prediction: &str, weight: f64) -> Goal {
    Goal {
        loss,
        prediction: Some(prediction.to_owned()),
        weight,
    }
}

#[test]
fn several_outputs_train_together() {
    let mut choice = options(Loss::MeanSquaredError, Optimizer::Sgd);
    choice.goals = vec![
        goal(Loss::CROSS_ENTROPY, "class", 0.5),
        goal(Loss::MeanSquaredError, "value", 2.0),
    ];
    let step = StepGraph::build(&two_outputs(), &choice).unwrap();
    let signature = step.step.signature();
    let names = |infos: &[millrace_onnx::TensorInfo]| -> Vec<String> {
        infos
            .iter()
            .map(|info| format!("{} {info}", info.name))
            .collect()
    };
    assert_eq!(
        names(&signature.inputs)[..3],
        [
            "x float32[batch, 4]",
            "labels.class int64[batch]",
            "labels.value float32[batch, 2]"
        ]
    );
    assert_eq!(
        names(&signature.outputs)[..5],
        [
            "loss float32[]",
            "prediction.class float32[batch, 3]",
            "loss.class float32[]",
            "prediction.value float32[batch, 2]",
            "loss.value float32[]"
        ]
    );

    let mut batch = data(2, Tensor::integers(&[2], vec![2, 0]));
    let classes = batch.remove("labels").unwrap();
    batch.insert("labels.class".to_owned(), classes);
    let values = Tensor::from_f32(&[2, 2], &noise(4, 8));
    batch.insert("labels.value".to_owned(), values);
    let outputs = run_step(&step, &batch, &initial_state(&step), 0.1, 1);
    let loss = |name: &str| outputs[name].as_floats().unwrap()[0];
    assert_near(
        loss("loss"),
        0.5 * loss("loss.class") + 2.0 * loss("loss.value"),
    );
    check_gradients_with(&two_outputs(), &choice, &batch).unwrap();
}

#[test]
fn goals_that_do_not_fit_are_refused() {
    let refuses = |goals: Vec<Goal>, reason: &str| {
        let mut choice = options(Loss::MeanSquaredError, Optimizer::Sgd);
        choice.goals = goals;
        match StepGraph::build(&two_outputs(), &choice) {
            Err(Error::Request { reason: found }) => assert!(found.contains(reason), "{found}"),
            other => panic!("{choice:?}: {other:?}"),
        }
    };
    let squared = |prediction: &str, weight| goal(Loss::MeanSquaredError, prediction, weight);
    refuses(Vec::new(), "give one loss");
    refuses(vec![squared("value", 2.0)], "change the learning rate");
    refuses(vec![squared("value", 1.0), squared("value", 1.0)], "twice");
    refuses(
        vec![squared("value", 1.0), squared("class", 0.0)],
        "more than 0",
    );
    refuses(
        vec![squared("value", 1.0), Goal::new(Loss::MeanSquaredError)],
        "needs the name of its prediction",
    );
    let binary = goal(Loss::BINARY_CROSS_ENTROPY, "class", 1.0);
    refuses(vec![binary], "choose cross-entropy");
    refuses(
        vec![goal(Loss::Huber { delta: 0.0 }, "value", 1.0)],
        "delta",
    );
    let classes = |label_smoothing, class_weights: &[f64]| {
        let loss = Loss::CrossEntropy(CrossEntropy {
            label_smoothing,
            class_weights: class_weights.to_vec(),
            ..CrossEntropy::default()
        });
        vec![goal(loss, "class", 1.0)]
    };
    refuses(classes(1.0, &[]), "label smoothing is 1");
    refuses(classes(0.0, &[1.0, 2.0]), "2 class weights");
    refuses(classes(0.0, &[1.0, -2.0, 1.0]), "class weight is -2");
    refuses(classes(0.0, &[0.0; 3]), "all class weights are 0");
}
