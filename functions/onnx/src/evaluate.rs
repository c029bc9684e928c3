//! The reference evaluator: runs a graph in float64, slowly and simply.
//!
//! It is what gradients and runtimes are held against, and it folds constants. Each operator's arithmetic stands with the
//! operator; here is only the order.

use std::collections::{BTreeMap, HashMap};

use crate::operators::{self, Call};
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
    for node in &graph.node {
        let outputs = evaluate_node(node, &known)?;
        let named = node
            .output
            .iter()
            .zip(outputs)
            .filter(|(name, _)| !name.is_empty());
        known.extend(named.map(|(name, tensor)| (name.as_str(), tensor)));
    }
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

fn evaluate_node(node: &NodeProto, known: &HashMap<&str, Tensor>) -> Result<Vec<Tensor>, Error> {
    let refused = |reason: String| Error::Evaluation {
        node: node.label().to_owned(),
        operator: node.op_type().to_owned(),
        reason,
    };
    let operator = operators::find(node)
        .ok_or_else(|| refused("the operator is not known here".to_owned()))?;
    let inputs = node
        .input
        .iter()
        .map(|name| match (known.get(name.as_str()), name.is_empty()) {
            (_, true) => Ok(None),
            (Some(tensor), false) => Ok(Some(tensor)),
            (None, false) => Err(refused(format!("nothing before it makes '{name}'"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    operator.evaluate(&Call { node, inputs }).map_err(refused)
}
