//! The networks on which the kernels are tried: together they have every operator of the fast lowering.

use millrace_onnx::layers::{self, Activation, Layer, Padding};
use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Model, Optimizer, TensorInfo};

const PIXELS: usize = 13;
const CHANNELS: usize = 2;
pub(crate) const CLASSES: u8 = 3;

/// The networks, each with the optimizer that it is tried with. Where there is much to differentiate it is one whose first step
/// leaves the gradients in its state.
pub(crate) fn all() -> Result<[(Model, Optimizer); 3], millrace_onnx::Error> {
    let momentum = Optimizer::Momentum { momentum: 0.9 };
    // With an ε so large that the rounding of a gradient near 0 is not made a step of its own.
    let adam = Optimizer::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 0.125,
    };
    let small = layers::build(&[7], &[dense(CLASSES.into(), Activation::None)], 1)?;
    Ok([
        (images()?, momentum),
        (sequences()?, adam),
        (small, Optimizer::Sgd),
    ])
}

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense {
        units,
        activation,
        bias: true,
    }
}

/// Convolutions, pools and gated recurrent layers.
fn images() -> Result<Model, millrace_onnx::Error> {
    let convolution = |filters, padding| Layer::Conv2d {
        filters,
        kernel: [3, 3],
        stride: [1, 1],
        padding,
        activation: Activation::Relu,
        bias: true,
    };
    let pool = Layer::MaxPooling {
        size: [2, 2],
        stride: [2, 2],
        padding: Padding::Valid,
    };
    let gru = Layer::Gru {
        units: 21,
        all_steps: true,
    };
    let lstm = Layer::Lstm {
        units: 37,
        all_steps: false,
    };
    let layers = [
        convolution(8, Padding::Same),
        pool.clone(),
        convolution(9, Padding::Same),
        pool,
        convolution(6, Padding::Valid),
        Layer::Reshape { shape: vec![2, 3] },
        gru,
        lstm,
        dense(20, Activation::Relu),
        dense(CLASSES.into(), Activation::None),
    ];
    layers::build(&[CHANNELS, PIXELS, PIXELS], &layers, 1)
}

const TOKENS: usize = 9;
const HEADS: usize = 2;
/// Of a token, and of a head.
const WIDTH: usize = 20;
const HEAD: usize = WIDTH / HEADS;
const UNITS: usize = 5;

/// Attention, normalization, products of every kind, and a plain recurrent layer.
fn sequences() -> Result<Model, millrace_onnx::Error> {
    let mut draft = Draft::default();
    let parts = draft.dense("input", WIDTH, 3 * WIDTH);
    let thirds = [int("axis", -1), int("num_outputs", 3)].concat();
    let parts = draft.several("Split", &[&parts], 3, thirds);
    let heads = draft.sizes("heads", &[0, TOKENS, HEADS, HEAD]);
    let orders: [[i64; 4]; 3] = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
    let [queries, keys, values] = [0, 1, 2].map(|part| {
        let apart = draft.node("Reshape", &[&parts[part], &heads], Vec::new());
        draft.node("Transpose", &[&apart], ints("perm", &orders[part]))
    });
    let scores = draft.node("MatMul", &[&queries, &keys], Vec::new());
    // Of each token the first number.
    let first = draft.sizes("first", &[0]);
    let mask = draft.node("Gather", &["input", &first], int("axis", 2));
    let of_keys = draft.sizes("of keys", &[0, 1, 1, TOKENS]);
    let mask = draft.node("Reshape", &[&mask, &of_keys], Vec::new());
    let scores = draft.node("Add", &[&scores, &mask], Vec::new());
    let shares = draft.node("Softmax", &[&scores], int("axis", -1));
    let found = draft.node("MatMul", &[&shares, &values], Vec::new());
    let found = draft.node("Transpose", &[&found], ints("perm", &[0, 2, 1, 3]));
    let together = draft.sizes("together", &[0, TOKENS, WIDTH]);
    let found = draft.node("Reshape", &[&found, &together], Vec::new());
    let sum = draft.node("Add", &["input", &found], Vec::new());
    let normal = draft.normalized(&sum);
    let wide = draft.dense(&normal, WIDTH, 3 * WIDTH);
    let wide = draft.node("Relu", &[&wide], Vec::new());
    let narrow = draft.dense(&wide, 3 * WIDTH, WIDTH);
    let normal = draft.normalized(&narrow);
    let normal = draft.node("Relu", &[&normal], Vec::new());
    // Each token with each other one.
    let turned = draft.node("Transpose", &[&narrow], ints("perm", &[0, 2, 1]));
    let alike = draft.node("MatMul", &[&normal, &turned], Vec::new());
    let steps = draft.node("Transpose", &[&alike], ints("perm", &[1, 0, 2]));
    let input = draft.weights(&[1, UNITS, TOKENS]);
    let recurrent = draft.weights(&[1, UNITS, UNITS]);
    let bias = draft.weights(&[1, 2 * UNITS]);
    let units = int("hidden_size", to_size(UNITS));
    let steps = draft.several("RNN", &[&steps, &input, &recurrent, &bias], 2, units);
    let axis = draft.sizes("axis", &[0]);
    let last = draft.node("Squeeze", &[&steps[1], &axis], Vec::new());
    let weights = draft.weights(&[CLASSES.into(), UNITS]);
    let bias = draft.weights(&[CLASSES.into()]);
    let output = draft.node("Gemm", &[&last, &weights, &bias], int("transB", 1));
    draft.into_model(&output)
}

fn int(name: &str, value: i64) -> Vec<AttributeProto> {
    vec![AttributeProto::from_int(name, value)]
}

fn ints(name: &str, values: &[i64]) -> Vec<AttributeProto> {
    vec![AttributeProto::from_ints(name, values)]
}

fn to_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A graph that is being written, from `input` on. Its weights get their numbers when it is tried.
#[derive(Default)]
struct Draft(GraphProto);

impl Draft {
    fn node(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = format!("{operator} {}", self.0.node.len());
        self.0
            .node
            .push(NodeProto::new(operator, inputs, &output, attribute));
        output
    }

    fn several(
        &mut self,
        operator: &str,
        inputs: &[&str],
        count: usize,
        attribute: Vec<AttributeProto>,
    ) -> Vec<String> {
        let first = self.node(operator, inputs, attribute);
        let others = (1..count).map(|number| format!("{first}.{number}"));
        let outputs: Vec<String> = std::iter::once(first.clone()).chain(others).collect();
        if let Some(node) = self.0.node.last_mut() {
            node.output.clone_from(&outputs);
        }
        outputs
    }

    fn weights(&mut self, dims: &[usize]) -> String {
        let name = format!("weights {}", self.0.initializer.len());
        let values = vec![0.0; dims.iter().product()];
        self.0
            .initializer
            .push(TensorProto::from_f32(&name, dims, &values));
        name
    }

    fn sizes(&mut self, name: &str, sizes: &[usize]) -> String {
        let sizes: Vec<i64> = sizes.iter().copied().map(to_size).collect();
        self.0
            .initializer
            .push(TensorProto::from_i64(name, &[sizes.len()], &sizes));
        name.to_owned()
    }

    fn dense(&mut self, input: &str, inputs: usize, outputs: usize) -> String {
        let weights = self.weights(&[inputs, outputs]);
        let bias = self.weights(&[outputs]);
        let product = self.node("MatMul", &[input, &weights], Vec::new());
        self.node("Add", &[&product, &bias], Vec::new())
    }

    fn normalized(&mut self, input: &str) -> String {
        let scale = self.weights(&[WIDTH]);
        let bias = self.weights(&[WIDTH]);
        self.node("LayerNormalization", &[input, &scale, &bias], Vec::new())
    }

    fn into_model(mut self, output: &str) -> Result<Model, millrace_onnx::Error> {
        let described = |name: &str, sizes: &[usize]| {
            let sizes = sizes.iter().map(|&size| Dim::Fixed(to_size(size)));
            let batch = Dim::Symbolic("batch".to_owned());
            let dims = std::iter::once(batch).chain(sizes).collect();
            ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims))
        };
        self.0.name = Some("sequences".to_owned());
        self.0.input = vec![described("input", &[TOKENS, WIDTH])];
        self.0.output = vec![described(output, &[CLASSES.into()])];
        Model::from_proto(ModelProto {
            ir_version: Some(10),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(21),
            }],
            graph: Some(self.0),
            ..ModelProto::default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeSet;

    use millrace_onnx::{Loss, Lowering, StepGraph, StepOptions, fast};

    #[test]
    fn every_kernel_is_tried() {
        let mut tried = BTreeSet::new();
        for (model, optimizer) in super::all().unwrap() {
            let options = StepOptions {
                lowering: Lowering::Fast,
                ..StepOptions::new(Loss::CROSS_ENTROPY, optimizer)
            };
            let graph = StepGraph::build(&model, &options).unwrap();
            let nodes = graph.step.graph().node.iter();
            let ours = nodes.filter(|node| node.domain() == fast::DOMAIN);
            tried.extend(ours.map(|node| node.op_type().to_owned()));
        }
        let all: BTreeSet<String> = crate::kernels::names().map(str::to_owned).collect();
        assert_eq!(tried, all);
    }
}
