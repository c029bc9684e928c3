//! Layers as inputs: their names and options are those of Keras, their defaults too, but for images, whose channels come
//! first as everywhere in ONNX, and for batch normalization, whose constants are ONNX's.

use async_graphql::{Enum, InputObject, OneofObject};
use millrace_onnx::layers::{self, Layer};

use crate::app::{Code, Error};

/// One layer: exactly one of these.
#[derive(OneofObject)]
pub enum LayerInput {
    /// Gives each record another shape of as many elements: a row of pixels becomes an image.
    Reshape(ReshapeInput),
    /// Puts the dimensions of a record into another order: channels first where they come last.
    Permute(PermuteInput),
    /// Multiplies by a factor that is not trained, to bring raw values near 1.
    Scale(ScaleInput),
    /// Makes one row of features of each record (`true`).
    Flatten(bool),
    /// Multiplies by a matrix of weights. Takes a row of features.
    Dense(DenseInput),
    /// Slides filters over images of shape [channels, height, width].
    #[graphql(name = "conv2d")]
    Conv2d(Conv2dInput),
    /// The largest value of each window of an image, channel by channel.
    #[graphql(name = "maxPooling2d")]
    MaxPooling2d(Pooling2dInput),
    /// The average of each window of an image, channel by channel.
    #[graphql(name = "averagePooling2d")]
    AveragePooling2d(Pooling2dInput),
    /// The average of each channel of an image, as a row of features (`true`).
    #[graphql(name = "globalAveragePooling2d")]
    GlobalAveragePooling2d(bool),
    /// Brings each channel, or each feature of a row, to mean 0 and variance 1, then scales and shifts it.
    BatchNormalization(BatchNormalizationInput),
    /// Applies a function to every element.
    Activation(Activation),
    /// Drops values by chance while the model trains.
    Dropout(DropoutInput),
    /// Looks every value of the input, a whole number from 0, up in a table of trained rows.
    Embedding(EmbeddingInput),
    /// Long short-term memory over sequences of shape [steps, features].
    Lstm(RecurrentInput),
    /// Gated recurrent units over sequences of shape [steps, features].
    Gru(RecurrentInput),
}

/// Another shape.
#[derive(InputObject)]
pub struct ReshapeInput {
    /// The shape of one record.
    target_shape: Vec<i32>,
}

/// Another order of dimensions.
#[derive(InputObject)]
pub struct PermuteInput {
    /// Which dimension of a record comes first, second and so on, from 1: [3, 1, 2] puts channels first that came last.
    dims: Vec<i32>,
}

/// A factor that is not trained.
#[derive(InputObject)]
pub struct ScaleInput {
    /// The factor.
    factor: f32,
}

/// A dense layer.
#[derive(InputObject)]
pub struct DenseInput {
    /// How many outputs.
    units: i32,
    /// What is applied to them.
    #[graphql(default_with = "Activation::None")]
    activation: Activation,
    /// Whether a trained bias is added.
    #[graphql(default = true)]
    bias: bool,
}

/// A convolution over images.
#[derive(InputObject)]
pub struct Conv2dInput {
    /// How many filters, which are the channels of the result.
    filters: i32,
    /// The height and width of a filter; one number for both.
    kernel_size: Vec<i32>,
    /// By how many rows and columns a filter moves; one number for both.
    #[graphql(default_with = "vec![1, 1]")]
    strides: Vec<i32>,
    /// What is done at the edges.
    #[graphql(default_with = "Padding::Valid")]
    padding: Padding,
    /// What is applied to the outputs.
    #[graphql(default_with = "Activation::None")]
    activation: Activation,
    /// Whether each filter has a trained bias.
    #[graphql(default = true)]
    bias: bool,
}

/// A pool over images.
#[derive(InputObject)]
pub struct Pooling2dInput {
    /// The height and width of a window; one number for both.
    #[graphql(default_with = "vec![2, 2]")]
    pool_size: Vec<i32>,
    /// By how many rows and columns the window moves, one number for both; by its own size if left out.
    strides: Option<Vec<i32>>,
    /// What is done at the edges; padding does not count.
    #[graphql(default_with = "Padding::Valid")]
    padding: Padding,
}

/// The constants of batch normalization.
#[derive(InputObject)]
pub struct BatchNormalizationInput {
    /// The share of the running statistics that a mini-batch leaves as it is.
    #[graphql(default = 0.9)]
    momentum: f64,
    /// Added to the variance.
    #[graphql(default = 0.000_01)]
    epsilon: f64,
}

/// How much is dropped.
#[derive(InputObject)]
pub struct DropoutInput {
    /// The share of the values, at least 0 and less than 1.
    rate: f64,
}

/// A table of trained rows.
#[derive(InputObject)]
pub struct EmbeddingInput {
    /// How many rows there are: each value is less.
    input_dim: i32,
    /// How long a row is.
    output_dim: i32,
}

/// A recurrent layer.
#[derive(InputObject)]
pub struct RecurrentInput {
    /// How many outputs each step has.
    units: i32,
    /// Whether it gives the outputs of all steps, or those of the last one.
    #[graphql(default = false)]
    return_sequences: bool,
}

/// What is applied to a layer's outputs.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "layers::Activation")]
#[allow(missing_docs, reason = "the functions' names")]
pub enum Activation {
    None,
    Relu,
    Tanh,
    Sigmoid,
    Softmax,
}

/// What windows that move over an image do at its edges.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "layers::Padding")]
pub enum Padding {
    /// The image is padded, so that with a stride of 1 the result has its size.
    Same,
    /// The window stays within the image.
    Valid,
}

impl LayerInput {
    /// The layer at a place of the list, from 1.
    ///
    /// # Errors
    /// `INVALID_INPUT` for negative sizes, too many of them, and for a `false` where only `true` means something.
    pub fn into_layer(self, number: usize) -> Result<Layer, Error> {
        self.convert()
            .map_err(|reason| Error::new(Code::InvalidInput, format!("layer {number}: {reason}")))
    }

    fn convert(self) -> Result<Layer, String> {
        Ok(match self {
            Self::Reshape(reshape) => Layer::Reshape {
                shape: sizes("targetShape", &reshape.target_shape)?,
            },
            Self::Permute(permute) => Layer::Permute {
                dims: sizes("dims", &permute.dims)?,
            },
            Self::Scale(ScaleInput { factor }) => Layer::Scale { factor },
            Self::Flatten(true) => Layer::Flatten,
            Self::GlobalAveragePooling2d(true) => Layer::GlobalAveragePooling,
            Self::Flatten(false) | Self::GlobalAveragePooling2d(false) => {
                return Err("`false` says nothing, leave the layer out".to_owned());
            }
            Self::Dense(dense) => Layer::Dense {
                units: size("units", dense.units)?,
                activation: dense.activation.into(),
                bias: dense.bias,
            },
            Self::Conv2d(convolution) => Layer::Conv2d {
                filters: size("filters", convolution.filters)?,
                kernel: pair("kernelSize", &convolution.kernel_size)?,
                stride: pair("strides", &convolution.strides)?,
                padding: convolution.padding.into(),
                activation: convolution.activation.into(),
                bias: convolution.bias,
            },
            Self::MaxPooling2d(pool) => {
                let (size, stride, padding) = pool.into_parts()?;
                Layer::MaxPooling {
                    size,
                    stride,
                    padding,
                }
            }
            Self::AveragePooling2d(pool) => {
                let (size, stride, padding) = pool.into_parts()?;
                Layer::AveragePooling {
                    size,
                    stride,
                    padding,
                }
            }
            Self::BatchNormalization(constants) => Layer::BatchNormalization {
                momentum: single(constants.momentum),
                epsilon: single(constants.epsilon),
            },
            Self::Activation(function) => Layer::Activation {
                function: function.into(),
            },
            Self::Dropout(DropoutInput { rate }) => Layer::Dropout {
                ratio: single(rate),
            },
            Self::Embedding(table) => Layer::Embedding {
                count: size("inputDim", table.input_dim)?,
                width: size("outputDim", table.output_dim)?,
            },
            Self::Lstm(lstm) => Layer::Lstm {
                units: size("units", lstm.units)?,
                all_steps: lstm.return_sequences,
            },
            Self::Gru(gru) => Layer::Gru {
                units: size("units", gru.units)?,
                all_steps: gru.return_sequences,
            },
        })
    }
}

impl Pooling2dInput {
    fn into_parts(self) -> Result<([usize; 2], [usize; 2], layers::Padding), String> {
        let size = pair("poolSize", &self.pool_size)?;
        let stride = match self.strides {
            None => size,
            Some(strides) => pair("strides", &strides)?,
        };
        Ok((size, stride, self.padding.into()))
    }
}

fn size(option: &str, number: i32) -> Result<usize, String> {
    usize::try_from(number).map_err(|_| format!("{option} is {number}: give at least 1"))
}

fn sizes(option: &str, numbers: &[i32]) -> Result<Vec<usize>, String> {
    numbers.iter().map(|&number| size(option, number)).collect()
}

/// Rows and columns, by one number where they are alike.
fn pair(option: &str, numbers: &[i32]) -> Result<[usize; 2], String> {
    match *sizes(option, numbers)? {
        [both] => Ok([both, both]),
        [rows, columns] => Ok([rows, columns]),
        _ => Err(format!(
            "{option} is {numbers:?}: give one number, or two for rows and columns"
        )),
    }
}

/// GraphQL's numbers have double precision, a model's have single: the nearest one is meant.
#[allow(
    clippy::cast_possible_truncation,
    reason = "rounding is what is wanted"
)]
fn single(number: f64) -> f32 {
    number as f32
}
