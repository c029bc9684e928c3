//! What a layer is. Records are described without the batch, which comes first everywhere.

use super::Padding;

/// One layer of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Gives each record another shape of as many elements: a row of pixels becomes `[channels, height, width]`.
    Reshape {
        /// The shape without the batch.
        shape: Vec<usize>,
    },
    /// Puts the dimensions of a record into another order: images of shape `[height, width, channels]` become those of shape
    /// `[channels, height, width]` by 3, 1, 2.
    Permute {
        /// Which dimension comes first, second and so on, from 1; the batch is not one of them.
        dims: Vec<usize>,
    },
    /// Multiplies by a factor that is not trained, to bring raw values near 1.
    Scale {
        /// The factor.
        factor: f32,
    },
    /// Makes one row of features out of each record.
    Flatten,
    /// Multiplies by a matrix of weights.
    Dense {
        /// How many outputs it has.
        units: usize,
        /// What is applied to them.
        activation: Activation,
        /// Whether a trained bias is added.
        bias: bool,
    },
    /// Looks every value of the input, a whole number from 0, up in a table of trained rows.
    Embedding {
        /// How many rows there are: each value is less.
        count: usize,
        /// How long a row is.
        width: usize,
    },
    /// Long short-term memory over records of the shape `[steps, features]`.
    Lstm {
        /// How many outputs each step has.
        units: usize,
        /// Whether it gives the outputs of all steps, or those of the last one.
        all_steps: bool,
    },
    /// Gated recurrent units over records of the shape `[steps, features]`.
    Gru {
        /// How many outputs each step has.
        units: usize,
        /// Whether it gives the outputs of all steps, or those of the last one.
        all_steps: bool,
    },
    /// Slides filters over images of shape `[channels, height, width]`.
    Conv2d {
        /// How many filters, which are the channels of the result.
        filters: usize,
        /// The height and width of a filter.
        kernel: [usize; 2],
        /// By how many rows and columns a filter moves.
        stride: [usize; 2],
        /// What is done at the edges.
        padding: Padding,
        /// What is applied to the outputs.
        activation: Activation,
        /// Whether each filter has a trained bias.
        bias: bool,
    },
    /// The largest value of each window.
    MaxPooling {
        /// The height and width of a window.
        size: [usize; 2],
        /// By how many rows and columns the window moves.
        stride: [usize; 2],
        /// What is done at the edges.
        padding: Padding,
    },
    /// The average of each window; padding does not count.
    AveragePooling {
        /// The height and width of a window.
        size: [usize; 2],
        /// By how many rows and columns the window moves.
        stride: [usize; 2],
        /// What is done at the edges.
        padding: Padding,
    },
    /// The average of each channel, which makes a row of features of an image.
    GlobalAveragePooling,
    /// Brings each channel, or each feature of a row, to mean 0 and variance 1, then scales and shifts it.
    BatchNormalization {
        /// The share of the running statistics that a mini-batch leaves as it is, at least 0 and less than 1.
        momentum: f32,
        /// Added to the variance, more than 0.
        epsilon: f32,
    },
    /// Applies a function to every element.
    Activation {
        /// The function; a softmax goes over the features of a row, or over the channels of an image.
        function: Activation,
    },
    /// Drops values by chance while the model trains.
    Dropout {
        /// The share of values that are dropped, at least 0 and less than 1.
        ratio: f32,
    },
}

impl Layer {
    /// What it is called in names and messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "scale",
            Self::Flatten => "flatten",
            Self::Dense { .. } => "dense",
            Self::Embedding { .. } => "embedding",
            Self::Lstm { .. } => "lstm",
            Self::Gru { .. } => "gru",
            Self::Reshape { .. } => "reshape",
            Self::Conv2d { .. } => "conv2d",
            Self::MaxPooling { .. } => "max_pooling2d",
            Self::AveragePooling { .. } => "average_pooling2d",
            Self::GlobalAveragePooling => "global_average_pooling2d",
            Self::BatchNormalization { .. } => "batch_normalization",
            Self::Activation { .. } => "activation",
            Self::Permute { .. } => "permute",
            Self::Dropout { .. } => "dropout",
        }
    }
}

/// A function that is applied to the outputs of a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// None.
    None,
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// `exp(x) / Σ exp(x)` over the outputs.
    Softmax,
}

impl Activation {
    pub(super) fn operator(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Relu => Some("Relu"),
            Self::Tanh => Some("Tanh"),
            Self::Sigmoid => Some("Sigmoid"),
            Self::Softmax => Some("Softmax"),
        }
    }
}
