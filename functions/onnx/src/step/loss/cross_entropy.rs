//! Softmax cross-entropy.
//!
//! Each position of the prediction (a record, or a place in it) has logits z over C classes, and a label t that is 1 at one
//! class and 0 at the others, or a probability of each. With class weights w, label smoothing ε (Szegedy et al. 2016,
//! "Rethinking the Inception Architecture for Computer Vision") and q = w · ((1 − ε) t + ε/C):
//! L = −(1/W) Σ q · ln softmax z with W = Σ w · t, sums over positions and classes; so L is a mean in which each position
//! counts as much as its class. ∂L/∂z = (s · softmax z − q) / W with s = Σ q over the classes of the position. The logarithm
//! is taken inside `LogSoftmax`, so that no probability is rounded to 0 first.
//!
//! A position whose label is no class has t = q = 0: it has no part in loss and gradient. Where no position of a batch counts,
//! be it for its label or for a weight of 0, both are 0 (W is taken as infinite), so that a training goes on.

use super::ending::{self, Ending, Logits};
use super::{Objective, Place, checked_smoothing, emit_as_float, emit_sum};
use crate::emitter::Emitter;
use crate::extent::Extent;
use crate::fast;
use crate::forward::Forward;
use crate::proto::{AttributeProto, TensorProto};
use crate::step::{ClassLabels, options};
use crate::{Dim, ElementType, Error, TensorInfo};

/// Cross-entropy on a model.
pub(super) struct CrossEntropy {
    options: options::CrossEntropy,
    logits: Logits,
    /// Whether the prediction is the softmax of the logits, or its logarithm.
    ending: Option<Softmax>,
    /// The axis of the prediction along which classes stand, how many they are, and how many axes follow.
    axis: usize,
    classes: usize,
    trailing: usize,
    labels: TensorInfo,
    emitted: Emitted,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Softmax {
    Plain,
    Logarithm,
}

/// What the gradient takes of the loss's nodes.
#[derive(Default)]
struct Emitted {
    /// The logits in the prediction's shape, and the logarithms of their softmax.
    logits: String,
    logarithms: String,
    /// q, s and W.
    targets: String,
    sums: String,
    total: String,
    /// The gradient, where it was emitted with the loss.
    gradient: Option<String>,
}

impl CrossEntropy {
    /// Finds the logits: what goes into the softmax that the model ends in, else the prediction itself.
    pub(super) fn new(
        options: &options::CrossEntropy,
        forward: &Forward,
        place: &Place,
    ) -> Result<Self, Error> {
        let prediction = &place.prediction;
        let info = forward.facts.get(prediction).to_info(prediction);
        let shape = forward.facts.get(prediction).shape.as_deref();
        let ending = ending::of(forward, prediction, &["Softmax", "LogSoftmax"]);
        let own_axis = match &ending {
            Some(ending) => Some(softmax_axis(forward, ending, prediction)?),
            None => None,
        };
        let wanted = options.axis.or(own_axis.is_none().then_some(1));
        let wanted = wanted.map(|axis| resolve(axis, shape));
        if own_axis.is_some_and(|own| wanted.is_some_and(|wanted| wanted != Some(own))) {
            return Err(Error::request(format!(
                "the softmax that makes '{prediction}' has the classes along another axis than the one named for \
                 cross-entropy: leave the axis out"
            )));
        }
        let axis = own_axis.or(wanted.flatten());
        let classes = axis.zip(shape).and_then(|(axis, shape)| {
            let classes = shape[axis].as_fixed().filter(|&classes| classes >= 2)?;
            Some((axis, classes as usize, shape.len() - axis - 1))
        });
        let Some((axis, classes, trailing)) = classes.filter(|(axis, ..)| *axis > 0) else {
            return Err(Error::request(format!(
                "cross-entropy needs a prediction of shape [batch, classes] or [batch, classes, …] with at least 2 classes, and \
                 '{prediction}' is {info}: give the last layer one unit for each class, or choose another loss \
                 (for one unit binary cross-entropy, for numbers the mean squared error)"
            )));
        };
        check_weights(&options.class_weights, classes)?;
        checked_smoothing(options.label_smoothing)?;
        Ok(Self {
            labels: labels(options.labels, &place.labels, &info, axis),
            options: options.clone(),
            logits: Logits::new(ending.as_ref(), prediction),
            ending: ending.map(|ending| match ending.node.op_type() {
                "Softmax" => Softmax::Plain,
                _ => Softmax::Logarithm,
            }),
            axis,
            classes,
            trailing,
            emitted: Emitted::default(),
        })
    }

    /// Whether it is the form that the fast lowering has an operator for.
    fn is_plain(&self) -> bool {
        let is_matrix = (self.axis, self.trailing) == (1, 0) && !self.logits.reshaped;
        is_matrix
            && self.options.labels == ClassLabels::Numbers
            && self.options.label_smoothing == 0.0
            && self.options.class_weights.is_empty()
    }

    /// t, float32 of the prediction's shape.
    fn emit_one_hot(&self, emitter: &mut Emitter) -> String {
        if self.options.labels == ClassLabels::OneHot {
            return self.labels.name.clone();
        }
        let axes = emitter.integers(&[self.axis as i64]);
        let labels = emitter.node("Unsqueeze", &[&self.labels.name, &axes]);
        let (dims, classes) = (self.class_dims(), 0..self.classes as i64);
        let numbers = emitter.constant(&format!("classes{dims:?}"), |name| {
            TensorProto::from_i64(name, &dims, &classes.collect::<Vec<_>>())
        });
        let is_class = emitter.node("Equal", &[&labels, &numbers]);
        emit_as_float(emitter, &is_class)
    }

    /// The shape of a tensor with one number for each class.
    fn class_dims(&self) -> Vec<usize> {
        let mut dims = vec![1; self.trailing + 1];
        dims[0] = self.classes;
        dims
    }

    /// Emits q, s and W.
    fn emit_targets(&mut self, emitter: &mut Emitter) {
        let mut targets = self.emit_one_hot(emitter);
        let mut sums = self.emit_class_sum(emitter, &targets);
        let counted = sums.clone();
        let mut spread = None;
        if !self.options.class_weights.is_empty() {
            let dims = self.class_dims();
            let values: Vec<f32> = self
                .options
                .class_weights
                .iter()
                .map(|&weight| weight as f32)
                .collect();
            let weights = emitter.constant(&format!("weights{dims:?}{values:?}"), |name| {
                TensorProto::from_f32(name, &dims, &values)
            });
            targets = emitter.node("Mul", &[&targets, &weights]);
            sums = self.emit_class_sum(emitter, &targets);
            spread = Some(weights);
        }
        let total = emit_sum(emitter, &sums);
        let zero = emitter.float(0.0, ElementType::Float32);
        let infinity = emitter.float(f64::INFINITY, ElementType::Float32);
        let is_nothing = emitter.node("Equal", &[&total, &zero]);
        self.emitted.total = emitter.node("Where", &[&is_nothing, &infinity, &total]);
        let smoothing = self.options.label_smoothing;
        if smoothing > 0.0 {
            let keep = emitter.float(1.0 - smoothing, ElementType::Float32);
            let share = emitter.float(smoothing / self.classes as f64, ElementType::Float32);
            let kept = emitter.node("Mul", &[&targets, &keep]);
            let mut shares = emitter.node("Mul", &[&counted, &share]);
            if let Some(weights) = spread {
                shares = emitter.node("Mul", &[&shares, &weights]);
            }
            targets = emitter.node("Add", &[&kept, &shares]);
            sums = self.emit_class_sum(emitter, &targets);
        }
        (self.emitted.targets, self.emitted.sums) = (targets, sums);
    }

    fn emit_class_sum(&self, emitter: &mut Emitter, tensor: &str) -> String {
        emitter.reduce("ReduceSum", tensor, &[self.axis as i64], true)
    }

    fn along_classes(&self) -> Vec<AttributeProto> {
        vec![AttributeProto::from_int("axis", self.axis as i64)]
    }
}

/// The axis of the prediction along which the classes of the softmax stand.
fn softmax_axis(forward: &Forward, ending: &Ending<'_>, prediction: &str) -> Result<usize, Error> {
    let own = forward.facts.get(&ending.node.input[0]).shape.as_deref();
    let axis = resolve(ending.node.int("axis", -1), own).and_then(|axis| {
        if !ending.reshaped {
            return Some(axis);
        }
        ending::axis_in(own?, axis, forward.facts.get(prediction).shape.as_deref()?)
    });
    axis.ok_or_else(|| {
        Error::request(format!(
            "the model ends in a softmax, and where its classes stand in '{prediction}' is not known: name the tensor that \
             goes into node '{}' as the prediction, or export the model with fixed shapes",
            ending.node.label()
        ))
    })
}

fn resolve(axis: i64, shape: Option<&[Extent]>) -> Option<usize> {
    crate::operators::resolve_axis(axis, shape?.len())
}

fn labels(kind: ClassLabels, name: &str, prediction: &TensorInfo, axis: usize) -> TensorInfo {
    let mut dims: Vec<Dim> = prediction.dims.clone().unwrap_or_default();
    match kind {
        ClassLabels::OneHot => TensorInfo::new(name, ElementType::Float32, dims),
        ClassLabels::Numbers => {
            dims.remove(axis);
            TensorInfo::new(name, ElementType::Int64, dims)
        }
    }
}

fn check_weights(weights: &[f64], classes: usize) -> Result<(), Error> {
    if !weights.is_empty() && weights.len() != classes {
        return Err(Error::request(format!(
            "there are {} class weights, and the prediction has {classes} classes",
            weights.len()
        )));
    }
    let is_wrong = |weight: &&f64| !(**weight >= 0.0 && weight.is_finite());
    match weights.iter().find(is_wrong) {
        Some(weight) => Err(Error::request(format!(
            "a class weight is {weight}, and must be at least 0"
        ))),
        None if !weights.is_empty() && weights.iter().sum::<f64>() == 0.0 => Err(Error::request(
            "all class weights are 0: nothing would be learned",
        )),
        None => Ok(()),
    }
}

impl Objective for CrossEntropy {
    fn target(&self) -> &str {
        &self.logits.tensor
    }

    fn labels(&self) -> TensorInfo {
        self.labels.clone()
    }

    fn are_class_logits(&self) -> bool {
        self.ending != Some(Softmax::Plain)
    }

    fn emit_loss(&mut self, emitter: &mut Emitter, name: &str) {
        if emitter.is_fast() && self.is_plain() {
            let gradient = emitter.free_name(&format!("gradient/{name}"));
            let inputs = [&*self.logits.tensor, &self.labels.name];
            emitter.fast_named(&[name, &gradient], fast::CROSS_ENTROPY, &inputs, Vec::new());
            self.emitted.gradient = Some(gradient);
            return;
        }
        self.emitted.logits = self.logits.emit(emitter);
        self.emit_targets(emitter);
        self.emitted.logarithms = match self.ending {
            Some(Softmax::Logarithm) => self.logits.prediction.clone(),
            _ => emitter.node_with("LogSoftmax", &[&self.emitted.logits], self.along_classes()),
        };
        let chosen = emitter.node("Mul", &[&self.emitted.logarithms, &self.emitted.targets]);
        let sum = emit_sum(emitter, &chosen);
        let negative = emitter.node("Neg", &[&sum]);
        emitter.named(name, "Div", &[&negative, &self.emitted.total]);
    }

    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String {
        if let Some(gradient) = self.emitted.gradient.clone() {
            return gradient;
        }
        let probabilities = match self.ending {
            Some(Softmax::Plain) => self.logits.prediction.clone(),
            Some(Softmax::Logarithm) => emitter.node("Exp", &[&self.emitted.logarithms]),
            None => emitter.node_with("Softmax", &[&self.emitted.logits], self.along_classes()),
        };
        let share = emitter.node("Mul", &[&probabilities, &self.emitted.sums]);
        let difference = emitter.node("Sub", &[&share, &self.emitted.targets]);
        let gradient = emitter.node("Div", &[&difference, &self.emitted.total]);
        self.logits.emit_gradient(emitter, &gradient)
    }
}
