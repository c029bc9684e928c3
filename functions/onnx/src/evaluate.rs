//! The reference evaluator: runs a graph in float64, slowly and simply.
//!
//! It is what gradients and runtimes are held against, and it folds constants. Each operator's arithmetic stands with the
//! operator; here is only the order.

mod scan;

use std::collections::{BTreeMap, HashMap};

use crate::operators::{self, Call};
use crate::prepare::as_nodes;
use crate::proto::NodeProto;
use crate::{Error, Model, Tensor};

/// Evaluates a model's graph on the given inputs and gives its outputs.
///
/// Floating-point values are float64 throughout, whatever the model says, so a graph's rounding is not imitated.
///
/// # Errors
/// A missing input, an operator that is not known here, or tensors that do not fit it.
pub fn evaluate(
    model: &Model,
    inputs: &BTreeMap<String, Tensor>,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let model = as_nodes(model)?;
    let graph = model.graph();
    let mut known: HashMap<&str, Tensor> = HashMap::new();
    for initializer in &graph.initializer {
        known.insert(initializer.name(), initializer.to_tensor()?);
    }
    for input in &graph.input {
        match inputs.get(input.name()) {
            Some(tensor) => {
                known.insert(input.name(), tensor.clone());
            }
            None if known.contains_key(input.name()) => {}
            None => {
                return Err(Error::request(format!(
                    "the input '{}' is missing",
                    input.name()
                )));
            }
        }
    }
    let mut known = Scope {
        own: known,
        outer: None,
    };
    evaluate_nodes(&graph.node, &mut known)?;
    graph
        .output
        .iter()
        .map(|output| {
            let tensor = known.get(output.name()).ok_or_else(|| Error::Invalid {
                reason: format!("nothing makes the output '{}'", output.name()),
            })?;
            Ok((output.name().to_owned(), tensor.clone()))
        })
        .collect()
}

/// The tensors that are known at a place in a graph, those of the graphs around it included.
struct Scope<'a, 'outer> {
    own: HashMap<&'a str, Tensor>,
    outer: Option<&'outer Scope<'outer, 'outer>>,
}

impl Scope<'_, '_> {
    fn get(&self, name: &str) -> Option<&Tensor> {
        let outer = || self.outer?.get(name);
        self.own.get(name).or_else(outer)
    }

    /// The inputs of a node.
    fn inputs(&self, node: &NodeProto) -> Result<Vec<Option<&Tensor>>, String> {
        let names = node.input.iter();
        names
            .map(|name| match (self.get(name), name.is_empty()) {
                (_, true) => Ok(None),
                (Some(tensor), false) => Ok(Some(tensor)),
                (None, false) => Err(format!("nothing before it makes '{name}'")),
            })
            .collect()
    }
}

fn evaluate_nodes<'a>(nodes: &'a [NodeProto], known: &mut Scope<'a, '_>) -> Result<(), Error> {
    for node in nodes {
        let outputs = evaluate_node(node, known)?;
        let named = node
            .output
            .iter()
            .zip(outputs)
            .filter(|(name, _)| !name.is_empty());
        known
            .own
            .extend(named.map(|(name, tensor)| (name.as_str(), tensor)));
    }
    Ok(())
}

fn evaluate_node(node: &NodeProto, known: &Scope<'_, '_>) -> Result<Vec<Tensor>, Error> {
    let refused = |reason: String| Error::Evaluation {
        node: node.label().to_owned(),
        operator: node.op_type().to_owned(),
        reason,
    };
    if matches!(node.domain(), "" | "ai.onnx") && node.op_type() == "Scan" {
        return scan::evaluate(node, known, &refused);
    }
    let operator = operators::find(node)
        .ok_or_else(|| refused("the operator is not known here".to_owned()))?;
    let inputs = known.inputs(node).map_err(refused)?;
    operator.evaluate(&Call { node, inputs }).map_err(refused)
}
