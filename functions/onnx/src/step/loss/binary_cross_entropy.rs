//! Binary cross-entropy, each element of the prediction a question of its own that is answered yes (1) or no (0).
//!
//! With logits z, labels t of n elements in all, and t′ = (1 − ε) t + ε/2 under label smoothing ε:
//! L = −(1/n) Σ [t′ ln σ(z) + (1 − t′) ln (1 − σ(z))] = (1/n) Σ [max(z, 0) − z t′ + ln (1 + exp(−|z|))], the second form
//! without overflow and without the logarithm of a rounded 0; and ∂L/∂z = (σ(z) − t′) / n.

use super::ending::{self, Logits};
use super::{Objective, Place, checked_smoothing, emit_count, emit_sum};
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::step::Answers;
use crate::{ElementType, Error, TensorInfo};

/// Binary cross-entropy on a model.
pub(super) struct BinaryCrossEntropy {
    logits: Logits,
    /// Whether the prediction is the sigmoid of the logits.
    is_sigmoid: bool,
    prediction: TensorInfo,
    labels: String,
    label_smoothing: f64,
    /// The smoothed labels and the number of elements, once they are emitted.
    smoothed: String,
    count: String,
}

impl BinaryCrossEntropy {
    /// Finds the logits: what goes into the sigmoid that the model ends in, else the prediction itself.
    pub(super) fn new(
        label_smoothing: f64,
        forward: &Forward,
        place: &Place,
    ) -> Result<Self, Error> {
        if ending::of(forward, &place.prediction, &["Softmax", "LogSoftmax"]).is_some() {
            return Err(Error::request(
                "the model ends in a softmax, and binary cross-entropy needs a sigmoid or none: choose cross-entropy",
            ));
        }
        let sigmoid = ending::of(forward, &place.prediction, &["Sigmoid"]);
        Ok(Self {
            logits: Logits::new(sigmoid.as_ref(), &place.prediction),
            is_sigmoid: sigmoid.is_some(),
            prediction: forward.prediction_info(&place.prediction),
            labels: place.labels.clone(),
            label_smoothing: checked_smoothing(label_smoothing)?,
            smoothed: String::new(),
            count: String::new(),
        })
    }

    fn emit_smoothed(&self, emitter: &mut Emitter) -> String {
        if self.label_smoothing == 0.0 {
            return self.labels.clone();
        }
        let keep = emitter.float(1.0 - self.label_smoothing, ElementType::Float32);
        let spread = emitter.float(self.label_smoothing / 2.0, ElementType::Float32);
        let kept = emitter.node("Mul", &[&self.labels, &keep]);
        emitter.node("Add", &[&kept, &spread])
    }
}

impl Objective for BinaryCrossEntropy {
    fn target(&self) -> &str {
        &self.logits.tensor
    }

    fn labels(&self) -> TensorInfo {
        TensorInfo {
            name: self.labels.clone(),
            ..self.prediction.clone()
        }
    }

    fn answers(&self) -> Option<Answers> {
        Some(if self.is_sigmoid {
            Answers::Probabilities
        } else {
            Answers::Logits
        })
    }

    fn emit_loss(&mut self, emitter: &mut Emitter, name: &str) {
        let logits = self.logits.emit(emitter);
        self.smoothed = self.emit_smoothed(emitter);
        self.count = emit_count(emitter, &logits);
        let one = emitter.float(1.0, ElementType::Float32);
        let positive = emitter.node("Relu", &[&logits]);
        let product = emitter.node("Mul", &[&logits, &self.smoothed]);
        let linear = emitter.node("Sub", &[&positive, &product]);
        let size = emitter.node("Abs", &[&logits]);
        let negative = emitter.node("Neg", &[&size]);
        let power = emitter.node("Exp", &[&negative]);
        let argument = emitter.node("Add", &[&power, &one]);
        let logarithm = emitter.node("Log", &[&argument]);
        let values = emitter.node("Add", &[&linear, &logarithm]);
        let sum = emit_sum(emitter, &values);
        emitter.named(name, "Div", &[&sum, &self.count]);
    }

    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String {
        let probability = if self.is_sigmoid {
            self.prediction.name.clone()
        } else {
            emitter.node("Sigmoid", &[&self.logits.tensor])
        };
        let difference = emitter.node("Sub", &[&probability, &self.smoothed]);
        let gradient = emitter.node("Div", &[&difference, &self.count]);
        self.logits.emit_gradient(emitter, &gradient)
    }
}
