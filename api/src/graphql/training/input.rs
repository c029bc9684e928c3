//! Starting and cancelling trainings.

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use millrace_wire::training as wire;

use super::Training;
use super::tuning::TuningInput;
use crate::app::training::{self, NewTraining};
use crate::app::version::Selector;
use crate::app::{Code, Error};
use crate::graphql::context::Find as _;
use crate::graphql::{GlobalId, Long, report};

/// Mutations of trainings.
#[derive(Default)]
pub struct TrainingMutation;

/// What a training is made of.
#[derive(InputObject)]
pub struct StartTrainingInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// The model's name.
    model: String,
    /// The version to start from; the latest if neither this nor `alias` is given.
    version: Option<i32>,
    /// The alias of the version to start from.
    alias: Option<String>,
    /// The segment's id.
    segment: ID,
    /// How to train.
    hyperparameters: HyperparametersInput,
    /// Seed of the shuffling of each epoch.
    #[graphql(default_with = "Long(0)")]
    seed: Long,
    /// The alias that the new version gets when it is made.
    promote_to: Option<String>,
}

/// How to train.
#[derive(InputObject)]
pub struct HyperparametersInput {
    /// Passes over the training part.
    epochs: u32,
    /// Records an optimizer step.
    #[graphql(default = 32)]
    batch_size: u32,
    /// The optimizer's learning rate.
    #[graphql(default = 0.001)]
    learning_rate: f64,
    /// The optimizer; Adam with its usual constants if left out.
    optimizer: Option<OptimizerInput>,
    /// What is minimised; where several predictions are learned at once `goals` say it.
    #[graphql(default_with = "Loss::CrossEntropy")]
    loss: Loss,
    /// The share of records that may be unusable before the training fails, 0 to 1.
    #[graphql(default = 0.01)]
    max_bad_records: f64,
    /// The finer points.
    #[graphql(flatten)]
    tuning: TuningInput,
    /// When to end before the last epoch; never if left out.
    early_stopping: Option<EarlyStoppingInput>,
}

/// Ends a training once an epoch's metric no longer gets better.
#[derive(InputObject)]
pub struct EarlyStoppingInput {
    /// The metric: `validation_loss`, `validation_accuracy`, … Of losses and errors less is better.
    #[graphql(default_with = "\"validation_loss\".to_owned()")]
    monitor: String,
    /// After so many epochs without a better value the training ends.
    #[graphql(default = 5)]
    patience: u32,
    /// By how much a value has to be better than the best one to count.
    #[graphql(default = 0.0)]
    min_change: f64,
    /// Whether the result is the best epoch's; what the last one made becomes a version before it.
    #[graphql(default = true)]
    restore_best: bool,
}

/// A loss function, the mean over a mini-batch.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "wire::Loss")]
pub enum Loss {
    /// Softmax cross-entropy; labels are class indices, or the probability of each class.
    CrossEntropy,
    /// Sigmoid cross-entropy of every element of the output; labels are 0, 1 or between.
    BinaryCrossEntropy,
    /// Mean squared error over all elements of the output.
    MeanSquaredError,
    /// Mean absolute error over all elements of the output.
    MeanAbsoluteError,
    /// The loss of Huber (1964), the mean over all elements of the output.
    Huber,
}

/// An optimizer: exactly one of these.
#[derive(OneofObject)]
pub enum OptimizerInput {
    /// Stochastic gradient descent (`true`).
    Sgd(bool),
    /// Gradient descent with momentum.
    Momentum(MomentumInput),
    /// The same, with the gradient taken one step of the velocity ahead.
    Nesterov(MomentumInput),
    /// Adam (Kingma and Ba, 2015).
    Adam(AdamInput),
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), 0.01 where `weightDecay` is left out.
    AdamW(AdamInput),
    /// `RMSprop` (Tieleman and Hinton, 2012).
    RmsProp(RmsPropInput),
    /// Adagrad (Duchi, Hazan and Singer, 2011).
    Adagrad(AdagradInput),
    /// Lion (Chen et al., 2023).
    Lion(LionInput),
}

/// Constants of momentum.
#[derive(InputObject)]
pub struct MomentumInput {
    /// Decay of the velocity.
    #[graphql(default = 0.9)]
    momentum: f64,
}

/// Constants of Adam.
#[derive(InputObject)]
pub struct AdamInput {
    /// Decay of the first moment.
    #[graphql(default = 0.9)]
    beta1: f64,
    /// Decay of the second moment.
    #[graphql(default = 0.999)]
    beta2: f64,
    /// Added to the denominator.
    #[graphql(default = 0.000_000_1)]
    epsilon: f64,
}

/// Constants of `RMSprop`.
#[derive(InputObject)]
pub struct RmsPropInput {
    /// Decay of the mean of squares.
    #[graphql(default = 0.9)]
    decay: f64,
    /// Added to the denominator.
    #[graphql(default = 0.000_000_01)]
    epsilon: f64,
}

/// Constants of Adagrad.
#[derive(InputObject)]
pub struct AdagradInput {
    /// Added to the denominator.
    #[graphql(default = 0.000_000_1)]
    epsilon: f64,
}

/// Constants of Lion.
#[derive(InputObject)]
pub struct LionInput {
    /// The share of the mean in what is followed.
    #[graphql(default = 0.9)]
    beta1: f64,
    /// Decay of the mean.
    #[graphql(default = 0.99)]
    beta2: f64,
}

/// The new training.
#[derive(SimpleObject)]
pub struct StartTrainingPayload {
    /// The new training.
    training: Training,
}

/// Which training to cancel.
#[derive(InputObject)]
pub struct CancelTrainingInput {
    /// Its id.
    id: ID,
}

/// The training that is being cancelled.
#[derive(SimpleObject)]
pub struct CancelTrainingPayload {
    /// The training; its state follows when its function has stopped.
    training: Training,
}

#[Object]
impl TrainingMutation {
    /// Puts a training in the queue.
    async fn start_training(
        &self,
        context: &Context<'_>,
        input: StartTrainingInput,
    ) -> Result<StartTrainingPayload> {
        let app = context.app();
        let new = input.into_training().map_err(report)?;
        let row = training::start(app, new).await.map_err(report)?;
        Ok(StartTrainingPayload {
            training: Training(row),
        })
    }

    /// Ends a training without a version.
    async fn cancel_training(
        &self,
        context: &Context<'_>,
        input: CancelTrainingInput,
    ) -> Result<CancelTrainingPayload> {
        let app = context.app();
        let id = GlobalId::expect(&input.id, "Training").map_err(report)?;
        let row = training::cancel(app, id).await.map_err(report)?;
        Ok(CancelTrainingPayload {
            training: Training(row),
        })
    }
}

impl StartTrainingInput {
    fn into_training(self) -> Result<NewTraining, Error> {
        let from = match (self.version, self.alias) {
            (None, None) => Selector::Latest,
            (Some(number), None) => Selector::Number(number),
            (None, Some(alias)) => Selector::Alias(alias),
            (Some(_), Some(_)) => return Err(invalid("give `version` or `alias`, not both")),
        };
        let optimizer = match self.hyperparameters.optimizer {
            None => wire::Optimizer::Adam {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-7,
            },
            Some(OptimizerInput::Sgd(true)) => wire::Optimizer::Sgd,
            Some(OptimizerInput::Sgd(false)) => {
                return Err(invalid(
                    "`sgd: false` says nothing; choose another optimizer",
                ));
            }
            Some(OptimizerInput::Momentum(MomentumInput { momentum })) => {
                wire::Optimizer::Momentum {
                    momentum: single(momentum),
                }
            }
            Some(OptimizerInput::Nesterov(MomentumInput { momentum })) => {
                wire::Optimizer::Nesterov {
                    momentum: single(momentum),
                }
            }
            Some(OptimizerInput::Adam(adam)) => wire::Optimizer::Adam {
                beta1: single(adam.beta1),
                beta2: single(adam.beta2),
                epsilon: single(adam.epsilon),
            },
            Some(OptimizerInput::AdamW(adam)) => wire::Optimizer::AdamW {
                beta1: single(adam.beta1),
                beta2: single(adam.beta2),
                epsilon: single(adam.epsilon),
            },
            Some(OptimizerInput::RmsProp(constants)) => wire::Optimizer::RmsProp {
                decay: single(constants.decay),
                epsilon: single(constants.epsilon),
            },
            Some(OptimizerInput::Adagrad(constants)) => wire::Optimizer::Adagrad {
                epsilon: single(constants.epsilon),
            },
            Some(OptimizerInput::Lion(constants)) => wire::Optimizer::Lion {
                beta1: single(constants.beta1),
                beta2: single(constants.beta2),
            },
        };
        Ok(NewTraining {
            project: self.project,
            model: self.model,
            from,
            segment: GlobalId::expect(&self.segment, "Segment")?,
            hyperparameters: wire::Hyperparameters {
                epochs: self.hyperparameters.epochs,
                batch_size: self.hyperparameters.batch_size,
                optimizer,
                learning_rate: single(self.hyperparameters.learning_rate),
                loss: self.hyperparameters.loss.into(),
                max_bad_records: self.hyperparameters.max_bad_records,
                tuning: self.hyperparameters.tuning.into_tuning()?,
                early_stopping: self.hyperparameters.early_stopping.map(|stopping| {
                    wire::EarlyStopping {
                        monitor: stopping.monitor,
                        patience: stopping.patience,
                        min_change: stopping.min_change,
                        restore_best: stopping.restore_best,
                    }
                }),
            },
            seed: self.seed.0,
            promote_to: self.promote_to,
        })
    }
}

/// GraphQL's numbers have double precision, training's have single: the nearest one is meant.
#[allow(
    clippy::cast_possible_truncation,
    reason = "rounding is what is wanted"
)]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new(Code::InvalidInput, message)
}
