//! A look at a model's file that holds its structure and never its weights.

use std::io::{Read, Seek};

use crate::{Error, Signature};

/// What a file says of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The model's inputs and outputs.
    pub signature: Signature,
    /// The version of the format.
    pub ir_version: i64,
    /// The program that wrote it.
    pub producer: String,
    /// The operator sets: domain (empty for the standard one) and version.
    pub opsets: Vec<(String, i64)>,
    /// The nodes of the graph and of graphs within it, in their order.
    pub operators: Vec<OperatorUse>,
    /// How many floating-point numbers its initializers hold.
    pub parameters: u64,
}

/// A node of a graph.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorUse {
    /// The operator's name.
    pub operator: String,
    /// The operator's domain, empty for the standard one.
    pub domain: String,
    /// The node's name, or its first output's where it has none.
    pub node: String,
}

/// Reads the structure of a model's file, skipping the bytes of tensors.
///
/// # Errors
/// [`Error::NotOnnx`], [`Error::CutShort`], [`Error::ExternalData`], [`Error::TooLarge`] where the structure alone takes
/// more than 64 MiB, [`Error::Io`] where reading fails.
pub fn inspect<R: Read + Seek>(_reader: R) -> Result<Inspection, Error> {
    Err(Error::request("inspection follows"))
}
