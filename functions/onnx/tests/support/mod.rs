//! Models for tests, written node by node, and training steps run in the reference evaluator.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

pub mod exports;

use std::collections::BTreeMap;

use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{
    Dim, ElementType, Loss, Model, Optimizer, StepGraph, StepOptions, Tensor, TensorInfo, evaluate,
};

/// A graph that is written down in a test.
#[derive(Clone, Default)]
pub struct Draft {
    pub graph: GraphProto,
    pub opset: i64,
}

impl Draft {
    pub fn new() -> Self {
        Self {
            opset: 21,
            ..Self::default()
        }
    }

    /// In another operator set than 21.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    pub fn input(mut self, name: &str, element: ElementType, dims: &[Dim]) -> Self {
        let info = TensorInfo::new(name, element, dims.to_vec());
        self.graph.input.push(ValueInfoProto::from_info(&info));
        self
    }

    pub fn output(mut self, name: &str, dims: &[Dim]) -> Self {
        let info = TensorInfo::new(name, ElementType::Float32, dims.to_vec());
        self.graph.output.push(ValueInfoProto::from_info(&info));
        self
    }

    /// An output of whatever shape comes out.
    pub fn result(mut self, name: &str) -> Self {
        let info = TensorInfo {
            dims: None,
            ..TensorInfo::new(name, ElementType::Float32, Vec::new())
        };
        self.graph.output.push(ValueInfoProto::from_info(&info));
        self
    }

    pub fn weights(mut self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        self.graph
            .initializer
            .push(TensorProto::from_f32(name, dims, values));
        self
    }

    pub fn integers(mut self, name: &str, values: &[i64]) -> Self {
        let tensor = TensorProto::from_i64(name, &[values.len()], values);
        self.graph.initializer.push(tensor);
        self
    }

    /// A number that does not train.
    pub fn number(mut self, name: &str, value: f32) -> Self {
        let tensor = TensorProto::from_f32(name, &[], &[value]);
        self.graph.initializer.push(tensor);
        self
    }

    pub fn node(self, operator: &str, inputs: &[&str], output: &str) -> Self {
        self.node_with(operator, inputs, output, Vec::new())
    }

    pub fn node_with(
        mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> Self {
        self.graph.node.push(NodeProto {
            input: inputs.iter().copied().map(str::to_owned).collect(),
            output: vec![output.to_owned()],
            name: Some(format!("make {output}")),
            op_type: Some(operator.to_owned()),
            attribute,
            ..NodeProto::default()
        });
        self
    }

    pub fn model(self) -> Model {
        Model::from_proto(ModelProto {
            ir_version: Some(10),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(self.opset),
            }],
            graph: Some(self.graph),
            ..ModelProto::default()
        })
        .unwrap()
    }
}

pub fn batch() -> Dim {
    Dim::Symbolic("batch".to_owned())
}

/// Numbers without a pattern, the same each time, between −1 and 1.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            #[expect(clippy::cast_precision_loss, reason = "24 bits fit a float")]
            let unit = (state >> 40) as f32 / (1_u32 << 24) as f32;
            unit * 2.0 - 1.0
        })
        .collect()
}

pub fn options(loss: Loss, optimizer: Optimizer) -> StepOptions {
    StepOptions::new(loss, optimizer)
}

/// The seed of all steps in tests.
pub const SEED: i64 = 20;

pub type Tensors = BTreeMap<String, Tensor>;

/// The parameters and running statistics of a step at their initial values, and its state at zero.
pub fn initial_state(step: &StepGraph) -> Tensors {
    let parameters = step.parameters.iter().chain(&step.statistics);
    let mut tensors: Tensors = parameters
        .map(|parameter| {
            (
                parameter.name.clone(),
                Tensor::from_f32(&parameter.dims, &parameter.initial),
            )
        })
        .collect();
    for slot in &step.slots {
        let count = slot.dims.iter().product();
        tensors.insert(
            slot.name.clone(),
            Tensor::floats(&slot.dims, vec![0.0; count]),
        );
    }
    tensors
}

/// Runs one step; the result has the names of the step's outputs.
pub fn run_step(
    step: &StepGraph,
    batch: &Tensors,
    state: &Tensors,
    lr: f64,
    number: i64,
) -> Tensors {
    evaluate(&step.step, &step_inputs(batch, state, lr, number)).unwrap()
}

/// All that a step takes.
pub fn step_inputs(batch: &Tensors, state: &Tensors, lr: f64, number: i64) -> Tensors {
    let mut inputs = batch.clone();
    inputs.extend(state.clone());
    inputs.insert("lr".to_owned(), Tensor::scalar(lr));
    inputs.insert("step".to_owned(), Tensor::integers(&[], vec![number]));
    inputs.insert("seed".to_owned(), Tensor::integers(&[], vec![SEED]));
    inputs
}

/// The parameters and state after a step, under the names that the next step takes.
pub fn next_state(state: &Tensors, outputs: &Tensors) -> Tensors {
    let next = |name: &String| (name.clone(), outputs[&format!("{name}.new")].clone());
    state.keys().map(next).collect()
}

/// The part of a step that makes the loss: what differs in training, such as statistics of the batch, is in it.
pub fn loss_graph(step: &StepGraph) -> Model {
    let mut proto = step.step.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph.output.retain(|output| output.name() == "loss");
    let mut needed = vec!["loss".to_owned()];
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    Model::from_proto(proto).unwrap()
}

/// Holds every gradient of a model against central differences of the loss, in float64, and says where they differ.
///
/// The relative error in the Euclidean norm is at most 1e-6; a gradient that is truly zero is compared absolutely.
pub fn check_gradients(model: &Model, loss: Loss, batch: &Tensors) -> Result<(), String> {
    check_gradients_with(model, &options(loss, Optimizer::Sgd), batch)
}

/// As [`check_gradients`], with any options whose optimizer is plain gradient descent.
pub fn check_gradients_with(
    model: &Model,
    options: &StepOptions,
    batch: &Tensors,
) -> Result<(), String> {
    let step = StepGraph::build(model, options).map_err(|error| error.to_string())?;
    if step.parameters.is_empty() {
        return Err("nothing trains".to_owned());
    }
    let state = initial_state(&step);
    let outputs = run_step(&step, batch, &state, 1.0, 1);
    let forward = loss_graph(&step);
    let inputs = step_inputs(batch, &state, 1.0, 1);
    for parameter in &step.parameters {
        let before = state[&parameter.name].as_floats().unwrap();
        let after = &outputs[&parameter.output()];
        if after.dims() != parameter.dims {
            return Err(format!(
                "the gradient of {} has the shape {:?}",
                parameter.name,
                after.dims()
            ));
        }
        let gradient: Vec<f64> = before
            .iter()
            .zip(after.as_floats().unwrap())
            .map(|(p, new)| p - new)
            .collect();
        let expected: Vec<f64> = (0..before.len())
            .map(|at| central_difference(&forward, &inputs, &parameter.name, at))
            .collect();
        let norm = |values: &mut dyn Iterator<Item = f64>| {
            values.map(|value| value * value).sum::<f64>().sqrt()
        };
        let error = norm(
            &mut gradient
                .iter()
                .zip(&expected)
                .map(|(found, expected)| found - expected),
        );
        let size = norm(&mut expected.iter().copied());
        // Written so that a NaN is an error as well.
        let is_close = error <= 1e-6 * size.max(1e-3);
        if !is_close {
            return Err(format!(
                "gradient of {}: {gradient:?} where differences give {expected:?}",
                parameter.name
            ));
        }
    }
    Ok(())
}

/// Fails the test where [`check_gradients`] finds a difference.
pub fn assert_gradients(model: &Model, loss: Loss, batch: &Tensors) {
    if let Err(difference) = check_gradients(model, loss, batch) {
        panic!("{difference}");
    }
}

fn central_difference(forward: &Model, inputs: &Tensors, name: &str, at: usize) -> f64 {
    const DISTANCE: f64 = 1e-5;
    let loss_at = |offset: f64| {
        let mut moved = inputs.clone();
        let tensor = &inputs[name];
        let mut values = tensor.as_floats().unwrap().to_vec();
        values[at] += offset;
        moved.insert(name.to_owned(), Tensor::floats(tensor.dims(), values));
        evaluate(forward, &moved).unwrap()["loss"]
            .as_floats()
            .unwrap()[0]
    };
    (loss_at(DISTANCE) - loss_at(-DISTANCE)) / (2.0 * DISTANCE)
}
