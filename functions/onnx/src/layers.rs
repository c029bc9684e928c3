//! Models from a list of layers.
//!
//! The input is named `input`, float32 `[batch, features…]`; the output is `probabilities` where the last layer ends in
//! softmax, else `output`. Layers are numbered by kind from 1, and their weights named after them (`dense_1.weight`). The
//! same description and seed give the same bytes, on every machine.

mod image;
mod initial;
mod layer;
mod sequence;

use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use crate::{Dim, ElementType, Error, Model, TensorInfo};
use image::Moves;
pub use image::Padding;
use initial::Initial;
pub use layer::{Activation, Layer};
use sequence::Recurrent;

/// The operator set of built models: the newest whose IR version (10) every runtime of the last two years loads.
const OPSET: i64 = 21;
const IR_VERSION: i64 = 10;
const INPUT: &str = "input";
/// A file of the format is at most 2 GiB, and weights take four bytes each.
const MOST_PARAMETERS: usize = 500_000_000;

/// Builds a model that takes records of the given shape (without the batch), with weights drawn from a seed.
///
/// # Errors
/// No layers, sizes of zero, a layer on records of a shape that it does not take, or more weights than a file can hold.
pub fn build(features: &[usize], layers: &[Layer], seed: u64) -> Result<Model, Error> {
    if features.is_empty() || features.contains(&0) {
        return Err(Error::request(format!(
            "a record of shape {features:?} has no features: give sizes of at least 1"
        )));
    }
    if layers.is_empty() {
        return Err(Error::request("a model needs at least one layer"));
    }
    let mut builder = Builder {
        current: INPUT.to_owned(),
        shape: features.to_vec(),
        parameters: 0,
        nodes: Vec::new(),
        initializers: Vec::new(),
        initial: Initial::from_seed(seed),
    };
    for (index, layer) in layers.iter().enumerate() {
        let of_this_kind = layers[..=index]
            .iter()
            .filter(|earlier| earlier.kind() == layer.kind())
            .count();
        let name = format!("{}_{of_this_kind}", layer.kind());
        builder.add(layer, &name).map_err(|reason| Error::Layer {
            number: index + 1,
            layer: layer.kind(),
            reason,
        })?;
    }
    let ends_in_softmax = matches!(
        layers.last(),
        Some(
            Layer::Dense {
                activation: Activation::Softmax,
                ..
            } | Layer::Activation {
                function: Activation::Softmax
            }
        )
    );
    builder.finish(
        features,
        if ends_in_softmax {
            "probabilities"
        } else {
            "output"
        },
    )
}

struct Builder {
    /// The tensor that the next layer takes, and its shape without the batch.
    current: String,
    shape: Vec<usize>,
    parameters: usize,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    initial: Initial,
}

impl Builder {
    fn add(&mut self, layer: &Layer, name: &str) -> Result<(), String> {
        match layer {
            Layer::Scale { factor } => self.scale(name, *factor),
            Layer::Flatten => {
                self.node(
                    name,
                    "Flatten",
                    &[],
                    vec![AttributeProto::from_int("axis", 1)],
                );
                let count = self
                    .shape
                    .iter()
                    .try_fold(1_usize, |count, &size| count.checked_mul(size));
                self.shape = vec![count.ok_or("the record is too large")?];
                Ok(())
            }
            Layer::Dense {
                units,
                activation,
                bias,
            } => self.dense(name, *units, *activation, *bias),
            Layer::Embedding { count, width } => self.embedding(name, *count, *width),
            Layer::Lstm { units, all_steps } => {
                self.recurrent(name, Recurrent::Lstm, *units, *all_steps)
            }
            Layer::Gru { units, all_steps } => {
                self.recurrent(name, Recurrent::Gru, *units, *all_steps)
            }
            Layer::Reshape { shape } => self.reshape(name, shape),
            Layer::Conv2d {
                filters,
                kernel,
                stride,
                padding,
                activation,
                bias,
            } => {
                let moves = Moves::new(*kernel, *stride, *padding);
                self.convolution(name, *filters, moves, *activation, *bias)
            }
            Layer::MaxPooling {
                size,
                stride,
                padding,
            } => self.pool(name, "MaxPool", Moves::new(*size, *stride, *padding)),
            Layer::AveragePooling {
                size,
                stride,
                padding,
            } => self.pool(name, "AveragePool", Moves::new(*size, *stride, *padding)),
            Layer::GlobalAveragePooling => self.global_average(name),
            Layer::BatchNormalization { momentum, epsilon } => {
                self.batch_normalization(name, *momentum, *epsilon)
            }
            Layer::Activation { function } => self.activation(name, *function),
            Layer::Permute { dims } => self.permute(name, dims),
            Layer::Dropout { ratio } => self.dropout(name, *ratio),
        }
    }

    fn scale(&mut self, name: &str, factor: f32) -> Result<(), String> {
        if !factor.is_finite() || factor == 0.0 {
            return Err(format!(
                "the factor {factor} leaves nothing of the input: give a finite one that is not 0"
            ));
        }
        let constant = self.constant(&format!("{name}.factor"), factor);
        self.node(name, "Mul", &[&constant], Vec::new());
        Ok(())
    }

    fn dense(
        &mut self,
        name: &str,
        units: usize,
        activation: Activation,
        bias: bool,
    ) -> Result<(), String> {
        let &[inputs] = self.shape.as_slice() else {
            return Err(format!(
                "it takes a row of features, and gets records of shape {:?}: put a flatten layer before it",
                self.shape
            ));
        };
        if units == 0 {
            return Err("it has no units: give at least 1".to_owned());
        }
        let biases = if bias { units } else { 0 };
        let weights = inputs.checked_mul(units);
        self.count_parameters(weights.and_then(|weights| weights.checked_add(biases)))?;

        let weight = format!("{name}.weight");
        let values = self.initial.weights(inputs, units, activation);
        self.initializers
            .push(TensorProto::from_f32(&weight, &[inputs, units], &values));
        if bias {
            let bias = format!("{name}.bias");
            self.initializers
                .push(TensorProto::from_f32(&bias, &[units], &vec![0.0; units]));
            self.node(name, "Gemm", &[&weight, &bias], Vec::new());
        } else {
            self.node(name, "Gemm", &[&weight], Vec::new());
        }
        self.shape = vec![units];
        self.activate(name, activation, -1);
        Ok(())
    }

    /// A function as a layer of its own.
    fn activation(&mut self, name: &str, function: Activation) -> Result<(), String> {
        if function == Activation::None {
            return Err("it applies no function: name one, or leave the layer out".to_owned());
        }
        let axis = if self.shape.len() == 3 { 1 } else { -1 };
        self.activate(name, function, axis);
        Ok(())
    }

    /// Applies a function to what a layer gives; its outputs stand along the axis.
    fn activate(&mut self, layer: &str, activation: Activation, axis: i64) {
        if let Some(operator) = activation.operator() {
            let axis =
                (activation == Activation::Softmax).then(|| AttributeProto::from_int("axis", axis));
            let name = format!("{layer}.{}", operator.to_lowercase());
            self.node(&name, operator, &[], axis.into_iter().collect());
        }
    }

    /// Adds to the number of parameters, unless a file could not hold so many.
    fn count_parameters(&mut self, more: Option<usize>) -> Result<(), String> {
        self.parameters = more
            .and_then(|more| more.checked_add(self.parameters))
            .filter(|&parameters| parameters <= MOST_PARAMETERS)
            .ok_or_else(|| {
                format!("with its weights the model has more than {MOST_PARAMETERS} parameters")
            })?;
        Ok(())
    }

    /// Appends a node that takes the current tensor and gives the next one, which is named as the node is.
    fn node(
        &mut self,
        name: &str,
        operator: &str,
        others: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let current = std::mem::replace(&mut self.current, name.to_owned());
        let inputs = [&[current.as_str()], others].concat();
        self.nodes
            .push(NodeProto::new(operator, &inputs, name, attribute));
    }

    fn finish(mut self, features: &[usize], output: &str) -> Result<Model, Error> {
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![output.to_owned()];
        }
        let graph = GraphProto {
            node: self.nodes,
            name: Some("layers".to_owned()),
            initializer: self.initializers,
            input: vec![described(INPUT, features)],
            output: vec![described(output, &self.shape)],
            ..GraphProto::default()
        };
        Model::from_proto(ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            producer_name: Some(crate::PRODUCER.to_owned()),
            graph: Some(graph),
            ..ModelProto::default()
        })
    }
}

fn described(name: &str, features: &[usize]) -> ValueInfoProto {
    let batch = Dim::Symbolic("batch".to_owned());
    let features = features.iter().map(|&size| Dim::Fixed(size as i64));
    let dims = std::iter::once(batch).chain(features).collect();
    ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims))
}
