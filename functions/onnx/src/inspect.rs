//! A look at a model's file that holds its structure and never its weights.
//!
//! The file is read as a stream: what `filter` keeps of it (all but the values of tensors and the notes of programs) is
//! then decoded as a model without weights. A file of any size takes a few MiB, and one whose structure alone is too large
//! is refused.

mod filter;
mod source;
mod values;

use std::io::{Read, Seek};

use crate::proto::{GraphProto, NodeProto};
use crate::step;
use crate::{Check, Error, Model, Signature, StepOptions, Target, check};

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
    /// The model without the values of its tensors.
    pub(crate) structure: Model,
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

impl Inspection {
    /// Whether the model can be trained, as [`check`](fn@check) says it.
    ///
    /// # Errors
    /// As [`check`](fn@check).
    pub fn check(&self, prediction: Option<&str>) -> Result<Check, Error> {
        check(&self.structure, prediction)
    }

    /// What a training step with these options learns, in the order of its goals, or what of the options does not fit the
    /// model: a loss, weights of classes, names that shall be frozen.
    ///
    /// # Errors
    /// As [`StepGraph::build`](crate::StepGraph::build).
    pub fn targets(&self, options: &StepOptions) -> Result<Vec<Target>, Error> {
        step::targets(&self.structure, options)
    }
}

/// Reads the structure of a model's file, skipping the bytes of tensors.
///
/// # Errors
/// [`Error::NotOnnx`] (also where a node reads what nothing gives, or what it gives itself), [`Error::CutShort`], [`Error::ExternalData`],
/// [`Error::TooLarge`] where the structure alone takes more than 64 MiB, [`Error::Io`] where reading fails.
pub fn inspect<R: Read + Seek>(reader: R) -> Result<Inspection, Error> {
    let structure = Model::from_proto(filter::structure(reader)?)?;
    let proto = structure.proto();
    let opsets: Vec<(String, i64)> = proto
        .opset_import
        .iter()
        .map(|import| (standard(import.domain()).to_owned(), import.version()))
        .collect();
    let mut operators = Vec::new();
    collect(structure.graph(), &mut operators);
    check_domains(&operators, &opsets)?;
    values::check(&structure)?;
    Ok(Inspection {
        signature: structure.signature(),
        ir_version: proto.ir_version(),
        producer: proto.producer_name().to_owned(),
        opsets,
        operators,
        parameters: count_parameters(structure.graph())?,
        structure,
    })
}

/// The standard domain has two names.
fn standard(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn collect(graph: &GraphProto, operators: &mut Vec<OperatorUse>) {
    for node in &graph.node {
        operators.push(OperatorUse {
            operator: node.op_type().to_owned(),
            domain: standard(node.domain()).to_owned(),
            node: node.label().to_owned(),
        });
        for inner in graphs_within(node) {
            collect(inner, operators);
        }
    }
}

fn graphs_within(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    let attributes = node.attribute.iter();
    attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// A file that is cut between two operator sets reads well, and lacks one.
fn check_domains(operators: &[OperatorUse], opsets: &[(String, i64)]) -> Result<(), Error> {
    let is_imported = |domain: &str| opsets.iter().any(|(imported, _)| imported == domain);
    match operators
        .iter()
        .find(|operator| !is_imported(&operator.domain))
    {
        None => Ok(()),
        Some(OperatorUse { domain, node, .. }) => Err(Error::CutShort {
            reason: format!(
                "node '{node}' is of the domain '{domain}', and no operator set of that domain follows"
            ),
        }),
    }
}

fn count_parameters(graph: &GraphProto) -> Result<u64, Error> {
    let floats = graph
        .initializer
        .iter()
        .filter(|tensor| tensor.element().is_float());
    let counts = floats.map(|tensor| Ok(tensor.count()? as u64));
    counts.sum()
}
