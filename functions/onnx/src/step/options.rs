//! What a training step is made of besides the model.

use crate::Lowering;

/// How to train a model.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOptions {
    /// What is minimised: one goal, or the weighted sum of several that have predictions of their own.
    pub goals: Vec<Goal>,
    /// How parameters follow their gradients.
    pub optimizer: Optimizer,
    /// Decoupled weight decay λ, at least 0: p ← p − lr · λ · p besides the optimizer's step. Biases, the scales and biases of
    /// normalizations and whatever else is no matrix are left alone. Without a number the optimizer's own default holds,
    /// see [`Optimizer::default_weight_decay`].
    pub weight_decay: Option<f64>,
    /// What keeps gradients from growing without limit.
    pub clipping: Option<Clipping>,
    /// Gradients of so many runs of the step graph are averaged to make one update, at least 1. `step` counts runs: an
    /// update is made where it is a multiple of this number, and what is minimised is the mean over all their batches, if
    /// they are equally large.
    pub accumulation: u32,
    /// Patterns of the names of initializers that stay as they are: `*` stands for any characters, `?` for one.
    pub frozen: Vec<String>,
    /// Which statistics batch normalization uses in the step.
    pub batch_normalization: BatchNormalization,
    /// With which operators the step is written.
    pub lowering: Lowering,
}

impl StepOptions {
    /// One loss on the prediction that is found, and nothing beyond what is needed.
    #[must_use]
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            goals: vec![Goal::new(loss)],
            optimizer,
            weight_decay: None,
            clipping: None,
            accumulation: 1,
            frozen: Vec::new(),
            batch_normalization: BatchNormalization::default(),
            lowering: Lowering::Standard,
        }
    }
}

/// Which statistics batch normalization uses in the step. Evaluation and the trained model always use the running ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BatchNormalization {
    /// Those of the batch, which the running ones follow.
    #[default]
    Train,
    /// The running ones as they are; scale and bias train all the same. For fine-tuning on small batches.
    Freeze,
}

/// A prediction with its loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is minimised.
    pub loss: Loss,
    /// The graph output or inner tensor that is the prediction; found where there is only one candidate and one goal.
    pub prediction: Option<String>,
    /// By what the loss is multiplied in the sum of several; 1 for a goal that is alone.
    pub weight: f64,
}

impl Goal {
    /// A loss on the prediction that is found.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        Self {
            loss,
            prediction: None,
            weight: 1.0,
        }
    }
}

/// What is minimised: always a mean over the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Softmax cross-entropy; a softmax that the model ends in is part of it, not applied twice.
    CrossEntropy(CrossEntropy),
    /// Sigmoid cross-entropy of every element; a sigmoid that the model ends in is part of it, not applied twice.
    BinaryCrossEntropy {
        /// The share of each label that is spread evenly over both classes, in [0, 1).
        label_smoothing: f64,
    },
    /// The mean of squared differences over all elements.
    MeanSquaredError,
    /// The mean of absolute differences over all elements.
    MeanAbsoluteError,
    /// Squares of small differences, absolute values of large ones, their mean over all elements.
    Huber {
        /// Where one becomes the other, more than 0.
        delta: f64,
    },
}

impl Loss {
    /// Cross-entropy with class numbers as labels, all classes alike.
    pub const CROSS_ENTROPY: Self = Self::CrossEntropy(CrossEntropy {
        labels: ClassLabels::Numbers,
        label_smoothing: 0.0,
        class_weights: Vec::new(),
        axis: None,
    });
    /// Binary cross-entropy with labels as they are.
    pub const BINARY_CROSS_ENTROPY: Self = Self::BinaryCrossEntropy {
        label_smoothing: 0.0,
    };
}

/// How softmax cross-entropy is taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// What labels are.
    pub labels: ClassLabels,
    /// The share of each label that is spread evenly over all classes, in [0, 1).
    pub label_smoothing: f64,
    /// How much each class counts, none of them negative; empty where all count alike.
    pub class_weights: Vec<f64>,
    /// The axis of the prediction along which classes stand. Where it is left out it is that of the softmax that the model
    /// ends in, else 1, right behind the batch.
    pub axis: Option<i64>,
}

/// What the labels of classes are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClassLabels {
    /// Class numbers, int64, of the prediction's shape without the axis of classes.
    #[default]
    Numbers,
    /// Float32 of the prediction's shape: 1 at the class and 0 elsewhere, or the probability of each class.
    OneHot,
}

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd,
    /// Gradient descent with a running sum of gradients.
    Momentum {
        /// How much of the sum stays at each step, in [0, 1).
        momentum: f64,
    },
    /// The same, with the gradient taken one step of the sum ahead.
    Nesterov {
        /// How much of the sum stays at each step, in [0, 1).
        momentum: f64,
    },
    /// Adam.
    Adam {
        /// Decay of the mean of gradients, in [0, 1).
        beta1: f64,
        /// Decay of the mean of squared gradients, in [0, 1).
        beta2: f64,
        /// What keeps the divisor from zero.
        epsilon: f64,
    },
    /// Adam with a decoupled weight decay, 0.01 where [`StepOptions::weight_decay`] says nothing.
    AdamW {
        /// Decay of the mean of gradients, in [0, 1).
        beta1: f64,
        /// Decay of the mean of squared gradients, in [0, 1).
        beta2: f64,
        /// What keeps the divisor from zero.
        epsilon: f64,
    },
    /// Gradients divided by the root of the running mean of their squares.
    RmsProp {
        /// Decay of the mean of squared gradients, in [0, 1).
        decay: f64,
        /// What keeps the divisor from zero.
        epsilon: f64,
    },
    /// Gradients divided by the root of the sum of their squares.
    Adagrad {
        /// What keeps the divisor from zero.
        epsilon: f64,
    },
    /// The signs of a running mean of gradients.
    Lion {
        /// How much of the mean is in what is followed, in [0, 1).
        beta1: f64,
        /// Decay of the mean of gradients, in [0, 1).
        beta2: f64,
    },
}

impl Optimizer {
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    /// The constants of Adam's paper, as frameworks take them.
    pub const ADAM_W: Self = Self::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    /// The decay of Hinton's lecture.
    pub const RMS_PROP: Self = Self::RmsProp {
        decay: 0.9,
        epsilon: 1e-8,
    };
    /// The smallest divisor that frameworks take.
    pub const ADAGRAD: Self = Self::Adagrad { epsilon: 1e-10 };
    /// The constants of its paper.
    pub const LION: Self = Self::Lion {
        beta1: 0.9,
        beta2: 0.99,
    };
}

/// What keeps gradients from growing without limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clipping {
    /// All gradients together are scaled down until their Euclidean norm is at most this.
    Norm(f64),
    /// Each element is limited to this in both directions.
    Value(f64),
}
