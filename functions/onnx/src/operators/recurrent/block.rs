//! Recurrent layers of the fast lowering: a layer keeps what its gradients need, and all of these are one node.
//!
//! They take the place of nodes of a forward graph, whose facts stay; nothing is inferred of them and nothing evaluated.

use super::form::Form;
use super::{
    B, Cell, INITIAL_C, INITIAL_H, LENGTHS, R, W, X, activation, gru, has_output, lstm, rnn,
};
use crate::emitter::Emitter;
use crate::extent::Unknowns;
use crate::facts::{Fact, Facts};
use crate::fast;
use crate::operators::backward::fixed_shape;
use crate::operators::{Backward, Call, Derivative, Family, Operator, Site};
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor};

pub(in crate::operators) const OPERATORS: Family = &[
    (fast::GRU, &Block(fast::GRU_GRADIENT)),
    (fast::LSTM, &Block(fast::LSTM_GRADIENT)),
    (fast::RNN, &Block(fast::RNN_GRADIENT)),
];

/// Outputs of the standard operators: Y, the last h and the last c.
const OUTPUTS: usize = 3;

/// The node of the fast lowering that takes the place of a node in the form in which it trains; nothing where it stays what
/// it is.
pub(crate) fn block(node: &NodeProto, facts: &Facts, emitter: &mut Emitter) -> Option<NodeProto> {
    let (operator, cell): (&str, &dyn Cell) = match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "LSTM") => (fast::LSTM, &lstm::Lstm),
        ("" | "ai.onnx", "GRU") => (fast::GRU, &gru::Gru),
        ("" | "ai.onnx", "RNN") => (fast::RNN, &rnn::Rnn),
        _ => return None,
    };
    let form = Form::of(node, cell).ok()?;
    let usual = activation::of(&NodeProto::default(), cell.activations()).ok()?;
    let is_given = |input: usize| node.input.get(input).is_some_and(|name| !name.is_empty());
    let is_taken = form.directions.iter().all(|way| way.activations == usual)
        && facts.get(node.input.first()?).element == Some(ElementType::Float32)
        && [W, R].into_iter().all(|weights| {
            let shape = facts.get(&node.input[weights]).shape.as_deref();
            shape.and_then(fixed_shape).is_some()
        })
        && has_output(node, 0)
        && !Form::is_batch_first(node)
        && !is_given(LENGTHS)
        && (operator != fast::GRU || node.int("linear_before_reset", 0) != 0);
    if !is_taken {
        return None;
    }
    let input = [X, W, R, B, INITIAL_H, INITIAL_C];
    let input = input.map(|input| node.input.get(input).cloned().unwrap_or_default());
    let mut output = node.output.clone();
    output.resize(OUTPUTS, String::new());
    output.push(emitter.free_name(&format!("{}/gates", node.label())));
    if operator == fast::LSTM {
        output.push(emitter.free_name(&format!("{}/cells", node.label())));
    }
    let ways: Vec<i64> = form
        .directions
        .iter()
        .map(|way| i64::from(way.is_reverse))
        .collect();
    Some(NodeProto {
        op_type: Some(operator.to_owned()),
        domain: Some(fast::DOMAIN.to_owned()),
        input: input.to_vec(),
        output,
        attribute: vec![AttributeProto::from_ints("reverse", &ways)],
        ..node.clone()
    })
}

/// A layer, with the operator that gives its gradients.
struct Block(&'static str);

impl Operator for Block {
    fn infer(&self, _: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        Vec::new()
    }

    fn evaluate(&self, _: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Err("only an engine that has the operator computes it".to_owned())
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let node = backward.node;
        let kept = [0, OUTPUTS, OUTPUTS + 1];
        let kept = kept.map(|output| node.output.get(output).cloned().unwrap_or_default());
        let gradients = [0, 1, 2].map(|output| backward.gradient_of(output).unwrap_or_default());
        let inputs = node.input.iter().chain(&kept).chain(&gradients);
        let inputs: Vec<&str> = inputs.map(String::as_str).collect();
        let names = ["x", "input", "recurrent", "bias", "h", "c"];
        let outputs = (0..).zip(names).map(|(input, name)| {
            match node.input.get(input).filter(|there| !there.is_empty()) {
                Some(_) => backward.give_named(input, name),
                None => String::new(),
            }
        });
        let outputs: Vec<String> = outputs.collect();
        let attributes = node.attribute.clone();
        backward
            .emit
            .fast_named(&outputs, self.0, &inputs, attributes);
    }
}
