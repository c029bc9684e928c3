//! What a training step is made of besides the model.

use crate::Lowering;

/// How to train a model.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOptions {
    /// What is minimised.
    pub loss: Loss,
    /// How parameters follow their gradients.
    pub optimizer: Optimizer,
    /// The graph output or inner tensor that is the prediction; found where there is only one candidate.
    pub prediction: Option<String>,
    /// Which statistics batch normalization uses in the step.
    pub batch_normalization: BatchNormalization,
    /// With which operators the step is written.
    pub lowering: Lowering,
}

impl StepOptions {
    /// A step with this loss and optimizer, and everything else as it usually is.
    #[must_use]
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            loss,
            optimizer,
            prediction: None,
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

/// What is minimised: always a mean over the batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// Softmax cross-entropy with class indices; a softmax that the model ends in is part of it, not applied twice.
    CrossEntropy,
    /// The mean of squared differences over all elements.
    MeanSquaredError,
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
    /// Adam.
    Adam {
        /// Decay of the mean of gradients, in [0, 1).
        beta1: f64,
        /// Decay of the mean of squared gradients, in [0, 1).
        beta2: f64,
        /// What keeps the divisor from zero.
        epsilon: f64,
    },
}

impl Optimizer {
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
}
