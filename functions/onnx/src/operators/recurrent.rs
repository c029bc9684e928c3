//! Recurrent layers: `LSTM`, `GRU`, `RNN`, over a sequence in one direction or both.
//!
//! Inputs are X `[steps, batch, features]`, W `[directions, gates · units, features]`, R `[directions, gates · units, units]`,
//! B `[directions, 2 · gates · units]` (W's biases, then R's), the sequences' lengths `[batch]`, the initial h and (`LSTM`)
//! c `[directions, batch, units]`; outputs are Y `[steps, directions, batch, units]`, the last h, and the last c. With
//! `layout` 1 the batch comes first. What stands behind a sequence's end is 0 in Y, and the last states are those of the
//! sequence's own last step.
//!
//! The gradient does not unroll the forward pass. Y holds the h before every step, so all gates are found again in one
//! product over all steps; only what is carried from step to step is written out step by step (as a `Scan` where the model
//! leaves the number of steps open), and the gradients of the weights are again one product each.

mod activation;
pub(crate) mod block;
mod evaluation;
mod form;
mod gradient;
mod gru;
mod lstm;
mod normal;
mod pass;
mod rnn;
mod walk;

use self::evaluation::Weights;
use self::form::Form;
use self::pass::{Found, Pass};
use super::{Backward, Call, Derivative, Family, Operator, Site, Training};
use crate::Tensor;
use crate::emitter::Emitter;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::NodeProto;

pub(super) const OPERATORS: Family = &[
    ("GRU", &Recurrent(&gru::Gru)),
    ("LSTM", &Recurrent(&lstm::Lstm)),
    ("RNN", &Recurrent(&rnn::Rnn)),
];

const X: usize = 0;
const W: usize = 1;
const R: usize = 2;
const B: usize = 3;
const LENGTHS: usize = 4;
const INITIAL_H: usize = 5;
const INITIAL_C: usize = 6;
const PEEPHOLES: usize = 7;

/// What one of the three operators computes in one direction.
trait Cell: Sync {
    /// How many blocks of `units` rows W and R have.
    fn gates(&self) -> usize;

    /// The names of its activation functions where the node names none.
    fn activations(&self) -> &'static [&'static str];

    /// Moves the states of one sequence on by one step, in float64.
    fn step(&self, weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>; 2]);

    /// Emits the gradients of the sums that the gates take.
    fn backward(&self, emit: &mut Emitter, pass: &Pass) -> Found;
}

struct Recurrent(&'static dyn Cell);

impl Recurrent {
    /// What stands in the way of a derivative; nothing where there is one.
    fn obstacle(&self, site: &Site<'_>) -> Option<Derivative> {
        if let Err(reason) = Form::of(site.node, self.0) {
            return Some(Derivative::missing(&reason));
        }
        let sizes = |input: usize| -> Option<Vec<i64>> {
            site.shape(input)?.iter().map(Extent::as_fixed).collect()
        };
        if sizes(W).is_none() || sizes(R).is_none() {
            return Some(Derivative::known_if(false, "has weights of unknown shape"));
        }
        let steps = site
            .shape(X)
            .and_then(|shape| shape.get(Form::steps_axis(site.node)));
        if steps.is_none() {
            return Some(Derivative::known_if(
                false,
                "runs over sequences of unknown shape",
            ));
        }
        None
    }
}

impl Operator for Recurrent {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shapes = (|| {
            let [first, second, _] = site.shape(X)? else {
                return None;
            };
            let [directions, _, units] = site.shape(R)? else {
                return None;
            };
            let [directions, units] = [directions.clone(), units.clone()];
            let [first, second] = [first.clone(), second.clone()];
            Some(if Form::is_batch_first(site.node) {
                let last = vec![first.clone(), directions.clone(), units.clone()];
                [vec![first, second, directions, units], last]
            } else {
                let last = vec![directions.clone(), second.clone(), units.clone()];
                [vec![first, directions, second, units], last]
            })
        })();
        let fact = |which: usize| {
            let shape = shapes.as_ref().map(|shapes| shapes[which].clone());
            Fact::new(site.element(), shape)
        };
        vec![fact(0), fact(1), fact(1)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        evaluation::evaluate(self.0, call)
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if input == LENGTHS {
            return Derivative::Zero;
        }
        self.obstacle(site).unwrap_or(Derivative::Known)
    }

    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        let inputs = training.inputs();
        let site = Site {
            node: training.node,
            inputs: &inputs,
        };
        Ok(self.obstacle(&site).is_none() && normal::expand(site.node, training.emit))
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let form = Form::of(backward.node, self.0)
            .expect("a node whose form is refused has no known derivative");
        gradient::emit(self.0, &form, backward);
    }
}

/// Whether a node has an output.
fn has_output(node: &NodeProto, index: usize) -> bool {
    node.output.get(index).is_some_and(|name| !name.is_empty())
}
