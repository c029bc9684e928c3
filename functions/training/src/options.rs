//! From a training's specification to the options of its step graph.

use millrace_onnx::{
    BatchNormalization, ClassLabels, Clipping, CrossEntropy, Goal, Loss, Lowering, Optimizer,
    StepOptions,
};
use millrace_wire::training::{self, Hyperparameters};
use millrace_wire::{goal as wire, tuning};

/// How the step graph of a training is built.
pub fn options(hyperparameters: &Hyperparameters, lowering: Lowering) -> StepOptions {
    let tuning = &hyperparameters.tuning;
    StepOptions {
        goals: hyperparameters.goals().iter().map(goal).collect(),
        lowering,
        weight_decay: tuning.weight_decay.map(f64::from),
        clipping: tuning.clipping.map(|clipping| match clipping {
            tuning::Clipping::Norm(limit) => Clipping::Norm(limit.into()),
            tuning::Clipping::Value(limit) => Clipping::Value(limit.into()),
        }),
        accumulation: tuning.accumulation,
        frozen: tuning.frozen.clone(),
        batch_normalization: match tuning.batch_normalization {
            tuning::BatchNormalization::Train => BatchNormalization::Train,
            tuning::BatchNormalization::Freeze => BatchNormalization::Freeze,
        },
        ..StepOptions::new(Loss::MeanSquaredError, optimizer(hyperparameters.optimizer))
    }
}

fn goal(goal: &wire::Goal) -> Goal {
    Goal {
        loss: loss(goal),
        prediction: goal.prediction.clone(),
        weight: goal.weight.into(),
    }
}

fn loss(goal: &wire::Goal) -> Loss {
    let label_smoothing = goal.label_smoothing.into();
    match goal.loss {
        training::Loss::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
            labels: if goal.soft_labels {
                ClassLabels::OneHot
            } else {
                ClassLabels::Numbers
            },
            label_smoothing,
            class_weights: goal.class_weights.iter().copied().map(f64::from).collect(),
            axis: None,
        }),
        training::Loss::BinaryCrossEntropy => Loss::BinaryCrossEntropy { label_smoothing },
        training::Loss::MeanSquaredError => Loss::MeanSquaredError,
        training::Loss::MeanAbsoluteError => Loss::MeanAbsoluteError,
        training::Loss::Huber => Loss::Huber {
            delta: goal.huber_delta.into(),
        },
    }
}

fn optimizer(optimizer: training::Optimizer) -> Optimizer {
    use training::Optimizer as Wire;
    match optimizer {
        Wire::Sgd => Optimizer::Sgd,
        Wire::Momentum { momentum } => Optimizer::Momentum {
            momentum: momentum.into(),
        },
        Wire::Nesterov { momentum } => Optimizer::Nesterov {
            momentum: momentum.into(),
        },
        Wire::Adam {
            beta1,
            beta2,
            epsilon,
        } => Optimizer::Adam {
            beta1: beta1.into(),
            beta2: beta2.into(),
            epsilon: epsilon.into(),
        },
        Wire::AdamW {
            beta1,
            beta2,
            epsilon,
        } => Optimizer::AdamW {
            beta1: beta1.into(),
            beta2: beta2.into(),
            epsilon: epsilon.into(),
        },
        Wire::RmsProp { decay, epsilon } => Optimizer::RmsProp {
            decay: decay.into(),
            epsilon: epsilon.into(),
        },
        Wire::Adagrad { epsilon } => Optimizer::Adagrad {
            epsilon: epsilon.into(),
        },
        Wire::Lion { beta1, beta2 } => Optimizer::Lion {
            beta1: beta1.into(),
            beta2: beta2.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_onnx::StepGraph;
    use millrace_onnx::layers::{self, Activation, Layer};
    use millrace_wire::tuning::Tuning;
    use uuid::Uuid;

    use super::*;
    use crate::testing::spec;

    #[test]
    fn every_wish_reaches_the_step_graph() {
        let mut hyperparameters = spec(Uuid::nil()).hyperparameters;
        hyperparameters.optimizer = training::Optimizer::Lion {
            beta1: 0.9,
            beta2: 0.99,
        };
        hyperparameters.tuning = Tuning {
            label_smoothing: 0.5,
            class_weights: vec![1.0, 2.0, 3.0],
            weight_decay: Some(0.25),
            clipping: Some(tuning::Clipping::Norm(2.0)),
            accumulation: 4,
            frozen: vec!["dense_1.*".to_owned()],
            ..Tuning::default()
        };
        let dense = |units, activation| Layer::Dense {
            units,
            activation,
            bias: true,
        };
        let layers = [dense(5, Activation::Relu), dense(3, Activation::Softmax)];
        let model = layers::build(&[2], &layers, 1).unwrap();
        let options = options(&hyperparameters, Lowering::Fast);
        assert_eq!(options.lowering, Lowering::Fast);
        assert_eq!(options.weight_decay, Some(0.25));
        assert_eq!(options.clipping, Some(Clipping::Norm(2.0)));
        let Loss::CrossEntropy(entropy) = &options.goals[0].loss else {
            panic!("{options:?}");
        };
        assert_eq!(entropy.class_weights, [1.0, 2.0, 3.0]);
        let graph = StepGraph::build(&model, &options).unwrap();
        let slots: Vec<&str> = graph.slots.iter().map(|slot| slot.name.as_str()).collect();
        let expected = [
            "dense_2.weight.m",
            "dense_2.weight.gradient",
            "dense_2.bias.m",
            "dense_2.bias.gradient",
        ];
        assert_eq!(slots, expected);
    }
}
