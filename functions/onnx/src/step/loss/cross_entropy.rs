//! Softmax cross-entropy with class indices.
//!
//! With logits z of N records and one-hot rows t of their labels: L = −(1/N) Σ t · log softmax z, and
//! ∂L/∂z = (softmax z − t) / N. The logarithm is taken inside `LogSoftmax`, so that no probability is rounded to 0 first.

use super::Objective;
use crate::emitter::Emitter;
use crate::fast;
use crate::forward::Forward;
use crate::proto::{AttributeProto, NodeProto};
use crate::step::names::{LABELS, LOSS};
use crate::{Dim, ElementType, Error, TensorInfo};

/// Cross-entropy on a model.
pub(super) struct CrossEntropy {
    logits: String,
    /// The model's own softmax of the logits, where it has one.
    probabilities: Option<String>,
    classes: i64,
    batch: Dim,
    /// The one-hot labels and the number of records, once they are emitted.
    one_hot: String,
    count: String,
    /// The gradient, where it was emitted with the loss.
    gradient: Option<String>,
}

impl CrossEntropy {
    /// Finds the logits: what goes into the softmax that the model ends in, else the prediction itself.
    pub(super) fn new(forward: &Forward) -> Result<Self, Error> {
        let softmax = ending_softmax(forward);
        let logits = softmax.map_or(&forward.prediction, |node| &node.input[0]);
        let shape = forward.facts.get(logits).shape.as_deref();
        let classes = match shape {
            Some([_, classes]) => classes.as_fixed(),
            _ => None,
        };
        let shown = forward.facts.get(logits).to_info(logits);
        let Some((classes, [batch, _])) = classes.filter(|&classes| classes >= 2).zip(shape) else {
            return Err(Error::request(format!(
                "cross-entropy needs a prediction of shape [batch, classes] with at least 2 classes, and '{logits}' is {shown}: \
                 give the last layer one unit for each class, or choose the mean squared error"
            )));
        };
        Ok(Self {
            logits: logits.clone(),
            probabilities: softmax.map(|node| node.output[0].clone()),
            classes,
            batch: batch.to_dim(),
            one_hot: String::new(),
            count: String::new(),
            gradient: None,
        })
    }
}

/// The softmax over the last axis that makes the prediction, perhaps with `Identity` nodes behind it.
fn ending_softmax(forward: &Forward) -> Option<&NodeProto> {
    let mut node = forward.graph.producer(&forward.prediction)?;
    while node.op_type() == "Identity" {
        node = forward.graph.producer(node.input.first()?)?;
    }
    let is_last = match node.int("axis", -1) {
        -1 => true,
        axis => {
            let rank = forward.facts.get(node.input.first()?).rank()?;
            axis == rank as i64 - 1
        }
    };
    let is_softmax = node.op_type() == "Softmax" && !node.input.is_empty();
    (is_softmax && is_last).then_some(node)
}

impl Objective for CrossEntropy {
    fn target(&self) -> &str {
        &self.logits
    }

    fn labels(&self) -> TensorInfo {
        TensorInfo::new(LABELS, ElementType::Int64, vec![self.batch.clone()])
    }

    fn emit_loss(&mut self, emitter: &mut Emitter) {
        emitter.enter("loss".to_owned());
        if emitter.is_fast() {
            let gradient = emitter.free_name("gradient/loss");
            let inputs = [&*self.logits, LABELS];
            emitter.fast_named(&[LOSS, &gradient], fast::CROSS_ENTROPY, &inputs, Vec::new());
            self.gradient = Some(gradient);
            return;
        }
        let depth = emitter.integer(self.classes);
        let off_on = emitter.floats(&[0.0, 1.0]);
        let last = || vec![AttributeProto::from_int("axis", -1)];
        let logarithms = emitter.node_with("LogSoftmax", &[&self.logits], last());
        self.one_hot = emitter.node_with("OneHot", &[LABELS, &depth, &off_on], last());
        let records = emitter.node("Size", &[LABELS]);
        let float = vec![AttributeProto::from_int(
            "to",
            i64::from(ElementType::Float32.code()),
        )];
        self.count = emitter.node_with("Cast", &[&records], float);
        let chosen = emitter.node("Mul", &[&logarithms, &self.one_hot]);
        let scalar = vec![AttributeProto::from_int("keepdims", 0)];
        let sum = emitter.node_with("ReduceSum", &[&chosen], scalar);
        let negative = emitter.node("Neg", &[&sum]);
        emitter.named(LOSS, "Div", &[&negative, &self.count]);
    }

    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String {
        if let Some(gradient) = self.gradient.clone() {
            return gradient;
        }
        emitter.enter("gradient/loss".to_owned());
        let probabilities = self.probabilities.clone().unwrap_or_else(|| {
            let last = vec![AttributeProto::from_int("axis", -1)];
            emitter.node_with("Softmax", &[&self.logits], last)
        });
        let difference = emitter.node("Sub", &[&probabilities, &self.one_hot]);
        emitter.node("Div", &[&difference, &self.count])
    }
}
