//! Everything that can go wrong here. Apart from [`Error::Io`], the fault is in what was given, and a retry does not help.

use std::fmt;

/// What is wrong with a model, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are something else.
    #[error("this is not an ONNX model: {reason}")]
    NotOnnx {
        /// What shows it.
        reason: String,
    },
    /// The bytes begin as a model and end too early.
    #[error("the model is cut short: {reason}; transfer the whole file again")]
    CutShort {
        /// What is missing.
        reason: String,
    },
    /// The model contradicts itself or the format.
    #[error("the model is not valid: {reason}; check it with onnx.checker and export it again")]
    Invalid {
        /// The contradiction.
        reason: String,
    },
    /// A tensor's values stand in another file.
    #[error(
        "the values of tensor '{tensor}' stand in another file, '{location}': \
         `millrace model push` puts them inside the model, as does onnx.save with save_as_external_data=False"
    )]
    ExternalData {
        /// The tensor's name.
        tensor: String,
        /// The file that it names.
        location: String,
    },
    /// The values in another file cannot be had.
    #[error("the external data of tensor '{tensor}' cannot be used: {reason}")]
    ExternalFile {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with the file or with the reference to it.
        reason: String,
    },
    /// More than can be held.
    #[error("the model is too large: {reason}")]
    TooLarge {
        /// What exceeds which limit.
        reason: String,
    },
    /// A tensor of the model cannot be read.
    #[error("tensor '{tensor}' {reason}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list of layers that makes no model.
    #[error("layer {number} ({layer}): {reason}")]
    Layer {
        /// Its place in the list, from 1.
        number: usize,
        /// What kind it is.
        layer: &'static str,
        /// What is wrong and what would help.
        reason: String,
    },
    /// The model cannot be trained as it is.
    #[error("the model cannot be trained: {}", Listed(.0))]
    NotTrainable(
        /// All that stands in the way.
        Vec<Obstacle>,
    ),
    /// What was asked for does not fit the model.
    #[error("{reason}")]
    Request {
        /// What does not fit, and what would.
        reason: String,
    },
    /// Two things would have one name in the step graph.
    #[error(
        "'{name}' would be the name of both {first} and {second} in the step graph: rename the one in the model"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// What has it.
        first: &'static str,
        /// What needs it.
        second: &'static str,
    },
    /// A node cannot be evaluated.
    #[error("node '{node}' ({operator}) cannot be evaluated: {reason}")]
    Evaluation {
        /// The node's name.
        node: String,
        /// Its operator.
        operator: String,
        /// Why.
        reason: String,
    },
    /// Reading or writing failed; another try can help.
    #[error("reading or writing failed")]
    Io(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn request(reason: impl Into<String>) -> Self {
        Self::Request {
            reason: reason.into(),
        }
    }
}

/// A node that a gradient would have to pass and cannot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Obstacle {
    /// The node's name, or its first output's where it has none.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// Why no gradient passes.
    pub reason: String,
    /// What would help.
    pub help: String,
    /// Whether it stands in the way only as long as sizes are not known.
    pub awaits_sizes: bool,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            operator,
            reason,
            help,
            ..
        } = self;
        write!(formatter, "node '{node}' ({operator}) {reason}; {help}")
    }
}

struct Listed<'a>(&'a [Obstacle]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        if self.0.is_empty() {
            return formatter.write_str(
                "no gradient of the prediction reaches any of its float32 initializers",
            );
        }
        for (index, obstacle) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{obstacle}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}
