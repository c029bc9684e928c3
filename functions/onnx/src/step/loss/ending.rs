//! The activation that a model ends in, which a loss takes over: it is computed more exactly together with the loss.
//!
//! Behind the activation there may be nodes that change neither the numbers nor their order: `Identity`, a `Cast` from
//! float32 to float32, and changes of shape.

use crate::ElementType;
use crate::emitter::Emitter;
use crate::extent::Extent;
use crate::forward::Forward;
use crate::proto::NodeProto;

/// An activation behind which nothing is computed any more.
pub(super) struct Ending<'a> {
    pub(super) node: &'a NodeProto,
    /// Whether the prediction has another shape than what the activation gives.
    pub(super) reshaped: bool,
}

/// The activation that makes a prediction, if it is one of the given operators.
pub(super) fn of<'a>(
    forward: &'a Forward,
    prediction: &str,
    operators: &[&str],
) -> Option<Ending<'a>> {
    let mut node = forward.graph.producer(prediction)?;
    let mut passes_shape = false;
    loop {
        let input = node.input.first().filter(|input| !input.is_empty())?;
        match node.op_type() {
            found if operators.contains(&found) => break,
            "Identity" => {}
            "Cast" if is_float32(forward, input) && is_float32(forward, &node.output[0]) => {}
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => passes_shape = true,
            _ => return None,
        }
        node = forward.graph.producer(input)?;
    }
    let same_shape = || {
        let shape = |name: &str| forward.facts.get(name).shape.clone();
        shape(&node.output[0]).is_some_and(|own| Some(own) == shape(prediction))
    };
    Some(Ending {
        node,
        reshaped: passes_shape && !same_shape(),
    })
}

fn is_float32(forward: &Forward, tensor: &str) -> bool {
    forward.facts.get(tensor).element == Some(ElementType::Float32)
}

/// Where an axis of one shape is found in another that has only more or fewer dimensions of size 1.
pub(super) fn axis_in(from: &[Extent], axis: usize, to: &[Extent]) -> Option<usize> {
    let places = |shape: &[Extent]| -> Vec<usize> {
        let sizes = shape.iter().enumerate();
        let wide = sizes.filter(|(_, extent)| !extent.is_one());
        wide.map(|(place, _)| place).collect()
    };
    let (own, other) = (places(from), places(to));
    let same = own.len() == other.len() && own.iter().zip(&other).all(|(&a, &b)| from[a] == to[b]);
    let at = own.iter().position(|&place| place == axis)?;
    same.then(|| other[at])
}

/// What goes into an activation, in the prediction's shape.
pub(super) struct Logits {
    /// The tensor that goes into the activation; the prediction itself where the model ends in none.
    pub(super) tensor: String,
    /// The prediction, whose shape the loss is computed in.
    pub(super) prediction: String,
    /// Whether the two differ in shape.
    pub(super) reshaped: bool,
}

impl Logits {
    pub(super) fn new(ending: Option<&Ending<'_>>, prediction: &str) -> Self {
        let tensor = ending.map_or(prediction, |ending| &ending.node.input[0]);
        Self {
            tensor: tensor.to_owned(),
            prediction: prediction.to_owned(),
            reshaped: ending.is_some_and(|ending| ending.reshaped),
        }
    }

    /// The logits in the prediction's shape.
    pub(super) fn emit(&self, emitter: &mut Emitter) -> String {
        reshape(emitter, self.reshaped, &self.tensor, &self.prediction)
    }

    /// The gradient, given in the prediction's shape, in the shape of the tensor.
    pub(super) fn emit_gradient(&self, emitter: &mut Emitter, gradient: &str) -> String {
        reshape(emitter, self.reshaped, gradient, &self.tensor)
    }
}

fn reshape(emitter: &mut Emitter, needed: bool, tensor: &str, like: &str) -> String {
    if !needed {
        return tensor.to_owned();
    }
    let shape = emitter.node("Shape", &[like]);
    emitter.node("Reshape", &[tensor, &shape])
}
