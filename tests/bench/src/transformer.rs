//! A transformer's encoder as exporters write it: attention, `Relu` layers four times as wide, normalization behind each sum.

use anyhow::Result;
use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Model, TensorInfo};

use crate::numbers::Numbers;
use crate::products::Product;

const LAYERS: usize = 2;
const HEADS: usize = 4;
/// How many times as wide as the model the dense layers between are.
const WIDER: usize = 4;

/// Takes `input` `[batch, tokens, width]`, gives `output`, the classes' logits of the mean over the tokens.
pub(crate) fn model(tokens: usize, width: usize, classes: usize) -> Result<Model> {
    let mut draft = Draft {
        graph: GraphProto {
            name: Some("transformer".to_owned()),
            ..GraphProto::default()
        },
        numbers: Numbers::from_seed(1),
    };
    let mut current = "input".to_owned();
    for layer in 0..LAYERS {
        let attended = draft.attention(&format!("layer{layer}.attention"), &current, tokens, width);
        let first =
            draft.add_and_normalize(&format!("layer{layer}.first"), [&current, &attended], width);
        let wide = draft.dense(
            &format!("layer{layer}.wide"),
            &first,
            [width, WIDER * width],
        );
        let wide = draft.node("Relu", &[&wide], Vec::new());
        let narrow = draft.dense(
            &format!("layer{layer}.narrow"),
            &wide,
            [WIDER * width, width],
        );
        current =
            draft.add_and_normalize(&format!("layer{layer}.second"), [&first, &narrow], width);
    }
    let axis = draft.integers("tokens.axis", &[1]);
    let keep = vec![AttributeProto::from_int("keepdims", 0)];
    let mean = draft.node("ReduceMean", &[&current, &axis], keep);
    let logits = draft.dense("classes", &mean, [width, classes]);
    let mut graph = draft.graph;
    graph.input.push(described("input", &[tokens, width]));
    graph.output.push(described(&logits, &[classes]));
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

/// The products of the layers, forward and for the gradients.
pub(crate) fn products(batch: usize, tokens: usize, width: usize) -> Vec<Product> {
    let rows = batch * tokens;
    let head = |rows, inner, columns| Product {
        stack: batch * HEADS,
        rows,
        inner,
        columns,
    };
    let of_layer = |layer: usize| {
        [
            Product::new(rows, width, 3 * width).trained(layer > 0),
            head(tokens, width / HEADS, tokens).trained(true),
            head(tokens, tokens, width / HEADS).trained(true),
            Product::new(rows, width, width).trained(true),
            Product::new(rows, width, WIDER * width).trained(true),
            Product::new(rows, WIDER * width, width).trained(true),
        ]
        .concat()
    };
    (0..LAYERS).flat_map(of_layer).collect()
}

/// A graph that is being written. Each node is named after its output.
struct Draft {
    graph: GraphProto,
    numbers: Numbers,
}

impl Draft {
    fn node(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.several(operator, inputs, attribute, 1).remove(0)
    }

    fn several(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        outputs: usize,
    ) -> Vec<String> {
        let number = self.graph.node.len();
        let output: Vec<String> = (0..outputs)
            .map(|output| format!("{operator}_{number}_{output}"))
            .collect();
        self.graph.node.push(NodeProto {
            input: inputs.iter().copied().map(str::to_owned).collect(),
            output: output.clone(),
            name: output.first().cloned(),
            op_type: Some(operator.to_owned()),
            attribute,
            ..NodeProto::default()
        });
        output
    }

    fn parameter(&mut self, name: &str, dims: &[usize], value: impl FnMut(f32) -> f32) -> String {
        let values = self.numbers.floats(dims.iter().product());
        let values: Vec<f32> = values.into_iter().map(value).collect();
        let tensor = TensorProto::from_f32(name, dims, &values);
        self.graph.initializer.push(tensor);
        name.to_owned()
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let tensor = TensorProto::from_i64(name, &[values.len()], values);
        self.graph.initializer.push(tensor);
        name.to_owned()
    }

    fn dense(&mut self, name: &str, input: &str, [inputs, outputs]: [usize; 2]) -> String {
        let spread = 1.0 / (inputs as f32).sqrt();
        let weight = self.parameter(&format!("{name}.weight"), &[inputs, outputs], |number| {
            (2.0 * number - 1.0) * spread
        });
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], |_| 0.0);
        let product = self.node("MatMul", &[input, &weight], Vec::new());
        self.node("Add", &[&product, &bias], Vec::new())
    }

    fn add_and_normalize(&mut self, name: &str, inputs: [&str; 2], width: usize) -> String {
        let sum = self.node("Add", &inputs, Vec::new());
        let scale = self.parameter(&format!("{name}.scale"), &[width], |_| 1.0);
        let bias = self.parameter(&format!("{name}.bias"), &[width], |_| 0.0);
        let attribute = vec![AttributeProto::from_int("axis", -1)];
        self.node("LayerNormalization", &[&sum, &scale, &bias], attribute)
    }

    fn attention(&mut self, name: &str, input: &str, tokens: usize, width: usize) -> String {
        let all = self.dense(&format!("{name}.in"), input, [width, 3 * width]);
        let size = |size: usize| i64::try_from(size).unwrap_or_default();
        let heads = [0, size(tokens), size(HEADS), size(width / HEADS)];
        let heads = self.integers(&format!("{name}.heads"), &heads);
        let parts = vec![
            AttributeProto::from_int("axis", -1),
            AttributeProto::from_int("num_outputs", 3),
        ];
        let parts = self.several("Split", &[&all], parts, 3);
        let order = |order: &[i64]| vec![AttributeProto::from_ints("perm", order)];
        let [queries, keys, values] = [
            (0, [0, 2, 1, 3].as_slice()),
            (1, &[0, 2, 3, 1]),
            (2, &[0, 2, 1, 3]),
        ]
        .map(|(part, perm)| {
            let part = self.node("Reshape", &[&parts[part], &heads], Vec::new());
            self.node("Transpose", &[&part], order(perm))
        });
        let scores = self.node("MatMul", &[&queries, &keys], Vec::new());
        let scale = TensorProto::from_f32(
            &format!("{name}.scale"),
            &[],
            &[1.0 / ((width / HEADS) as f32).sqrt()],
        );
        let scale_name = scale.name().to_owned();
        self.graph.initializer.push(scale);
        let scores = self.node("Mul", &[&scores, &scale_name], Vec::new());
        let shares = self.node(
            "Softmax",
            &[&scores],
            vec![AttributeProto::from_int("axis", -1)],
        );
        let found = self.node("MatMul", &[&shares, &values], Vec::new());
        let found = self.node("Transpose", &[&found], order(&[0, 2, 1, 3]));
        let whole = self.integers(&format!("{name}.whole"), &[0, size(tokens), size(width)]);
        let found = self.node("Reshape", &[&found, &whole], Vec::new());
        self.dense(&format!("{name}.out"), &found, [width, width])
    }
}

fn described(name: &str, features: &[usize]) -> ValueInfoProto {
    let features = features
        .iter()
        .map(|&size| Dim::Fixed(i64::try_from(size).unwrap_or(i64::MAX)));
    let dims = std::iter::once(Dim::Symbolic("batch".to_owned())).chain(features);
    ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims.collect()))
}
