//! The models whose training steps are measured, each with the matrix products that its step cannot do without.

use anyhow::Result;
use millrace_onnx::Model;
use millrace_onnx::layers::{self, Activation, Layer, Padding};
use serde::Serialize;

use crate::products::Product;
use crate::transformer;

/// Classes of the labels.
pub(crate) const CLASSES: u32 = 10;

/// A model and the batches that it is trained by.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) batches: &'static [usize],
    /// How many times as fast as the fastest peer a step shall be, for each batch.
    pub(crate) targets: &'static [f64],
    pub(crate) kind: Kind,
}

/// What a model is made of.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A hidden dense layer.
    Mlp { features: usize, hidden: usize },
    /// Twice a convolution of 3×3, `Relu` and a pool of 2×2, over images of 28×28, and a hidden dense layer.
    Cnn { filters: [usize; 2], hidden: usize },
    /// One layer over a sequence, whose last output counts.
    Lstm {
        steps: usize,
        features: usize,
        units: usize,
    },
    /// Two layers of attention and two dense layers each.
    Transformer { tokens: usize, width: usize },
}

/// Every case.
pub(crate) const CASES: [Case; 5] = [
    Case {
        name: "MLP 784-128-10",
        batches: &[32, 128],
        targets: &[2.0, 1.5],
        kind: Kind::Mlp {
            features: 784,
            hidden: 128,
        },
    },
    Case {
        name: "CNN 16/32",
        batches: &[32, 128],
        targets: &[2.0, 1.3],
        kind: Kind::Cnn {
            filters: [16, 32],
            hidden: 64,
        },
    },
    Case {
        name: "CNN 32/64",
        batches: &[32, 128],
        targets: &[1.6, 1.2],
        kind: Kind::Cnn {
            filters: [32, 64],
            hidden: 128,
        },
    },
    Case {
        name: "LSTM 64, 32 steps of 16",
        batches: &[32],
        targets: &[1.2],
        kind: Kind::Lstm {
            steps: 32,
            features: 16,
            units: 64,
        },
    },
    Case {
        name: "transformer 64, 32 tokens",
        batches: &[32],
        targets: &[1.2],
        kind: Kind::Transformer {
            tokens: 32,
            width: 64,
        },
    },
];

const IMAGE: usize = 28;
const TAPS: usize = 9;

impl Kind {
    /// How it is called where it is data.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mlp { .. } => "mlp",
            Self::Cnn { .. } => "cnn",
            Self::Lstm { .. } => "lstm",
            Self::Transformer { .. } => "transformer",
        }
    }

    /// The shape of a record.
    pub(crate) fn features(self) -> Vec<usize> {
        match self {
            Self::Mlp { features, .. } => vec![features],
            Self::Cnn { .. } => vec![1, IMAGE, IMAGE],
            Self::Lstm {
                steps, features, ..
            } => vec![steps, features],
            Self::Transformer { tokens, width } => vec![tokens, width],
        }
    }

    pub(crate) fn model(self) -> Result<Model> {
        let dense = |units: usize, activation| Layer::Dense {
            units,
            activation,
            bias: true,
        };
        let mut model = match self {
            Self::Transformer { tokens, width } => {
                return transformer::model(tokens, width, CLASSES as usize);
            }
            Self::Mlp { hidden, .. } => vec![dense(hidden, Activation::Relu)],
            Self::Cnn { filters, hidden } => {
                let block = |filters| {
                    let convolution = Layer::Conv2d {
                        filters,
                        kernel: [3, 3],
                        stride: [1, 1],
                        padding: Padding::Same,
                        activation: Activation::Relu,
                        bias: true,
                    };
                    let pool = Layer::MaxPooling {
                        size: [2, 2],
                        stride: [2, 2],
                        padding: Padding::Valid,
                    };
                    [convolution, pool]
                };
                let mut model: Vec<Layer> = filters.into_iter().flat_map(block).collect();
                model.extend([Layer::Flatten, dense(hidden, Activation::Relu)]);
                model
            }
            Self::Lstm { units, .. } => vec![Layer::Lstm {
                units,
                all_steps: false,
            }],
        };
        model.push(dense(CLASSES as usize, Activation::Softmax));
        Ok(layers::build(&self.features(), &model, 1)?)
    }

    /// The matrix products of one step: forward and for the gradients. Whoever trains by the batch computes them.
    pub(crate) fn products(self, batch: usize) -> Vec<Product> {
        let classes = CLASSES as usize;
        let last = |inputs| Product::new(batch, inputs, classes).trained(true);
        match self {
            Self::Mlp { features, hidden } => [
                Product::new(batch, features, hidden).trained(false),
                last(hidden),
            ]
            .concat(),
            Self::Cnn { filters, hidden } => {
                let [first, second] = filters;
                let convolution = |places: usize, channels: usize, filters: usize| Product {
                    stack: batch,
                    rows: places * places,
                    inner: TAPS * channels,
                    columns: filters,
                };
                let places = IMAGE / 4;
                [
                    convolution(IMAGE, 1, first).trained(false),
                    convolution(IMAGE / 2, first, second).trained(true),
                    Product::new(batch, places * places * second, hidden).trained(true),
                    last(hidden),
                ]
                .concat()
            }
            Self::Lstm {
                steps,
                features,
                units,
            } => {
                let rows = steps * batch;
                let gates = 4 * units;
                let step = [
                    Product::new(batch, units, gates),
                    Product::new(batch, gates, units),
                ];
                [
                    Product::new(rows, features, gates).trained(false),
                    step.repeat(steps),
                    vec![Product::new(units, rows, gates)],
                    last(units),
                ]
                .concat()
            }
            Self::Transformer { tokens, width } => transformer::products(batch, tokens, width)
                .into_iter()
                .chain(last(width))
                .collect(),
        }
    }
}
