//! Which parameters weight decay pulls towards zero: those that are matrices or more.
//!
//! Decoupled weight decay is Loshchilov and Hutter 2019 ("Decoupled Weight Decay Regularization"): p ← p − lr · λ · p besides
//! the optimizer's step, so that no running mean of gradients sees it. Biases and the scales and biases of normalizations are
//! left alone, as is usual: towards zero is no simpler for them. They are known by their rank, by the place at which an
//! operator takes them, and, where an exporter wrote an operator out, by a shape with one dimension that is only added or
//! multiplied.

use std::collections::HashSet;

use super::{Parameter, StepOptions};
use crate::Error;
use crate::graph::Graph;

/// λ of the options, else of the optimizer.
pub(super) fn rate(options: &StepOptions) -> Result<f64, Error> {
    let optimizer = &options.optimizer;
    let rate = options
        .weight_decay
        .unwrap_or_else(|| optimizer.default_weight_decay());
    if rate >= 0.0 && rate.is_finite() {
        return Ok(rate);
    }
    Err(Error::request(format!(
        "the weight decay is {rate}, and must be at least 0"
    )))
}

/// The names of the parameters that decay.
pub(super) fn decaying(graph: &Graph, parameters: &[Parameter]) -> HashSet<String> {
    let parameters = parameters.iter();
    let decaying =
        parameters.filter(|parameter| parameter.dims.len() >= 2 && is_weight(graph, parameter));
    decaying.map(|parameter| parameter.name.clone()).collect()
}

/// Whether something takes it as more than a scale or a bias.
fn is_weight(graph: &Graph, parameter: &Parameter) -> bool {
    let is_list = parameter.dims.iter().filter(|&&size| size > 1).count() <= 1;
    graph.nodes.iter().any(|node| {
        let mut inputs = node.input.iter().enumerate();
        inputs.any(|(index, name)| {
            *name == parameter.name
                && match node.op_type() {
                    "BatchNormalization"
                    | "GroupNormalization"
                    | "InstanceNormalization"
                    | "LayerNormalization"
                    | "RMSNormalization" => index == 0,
                    "GRU" | "LSTM" | "RNN" => index < 3,
                    "Conv" | "ConvTranspose" | "Gemm" => index < 2,
                    "Add" | "Div" | "Mul" | "PRelu" | "Sub" => !is_list,
                    _ => true,
                }
        })
    })
}
