//! What a training minimises: a loss on one prediction of a model, or the weighted sum of several.

use serde::{Deserialize, Serialize};

use crate::training::{Hyperparameters, Loss};

/// A prediction with its loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Goal {
    /// The graph output or inner tensor that is the prediction; found where there is one goal and one candidate.
    pub prediction: Option<String>,
    /// What is minimised.
    pub loss: Loss,
    /// By what the loss is multiplied in the sum of several, more than 0.
    pub weight: f32,
    /// The share of each label that is spread evenly over all classes, at least 0 and less than 1.
    pub label_smoothing: f32,
    /// How much each class counts in cross-entropy; empty where all count alike.
    pub class_weights: Vec<f32>,
    /// In cross-entropy: labels are the probability of each class, and not the number of one.
    pub soft_labels: bool,
    /// Where the Huber loss goes over from squares to absolute values, more than 0.
    pub huber_delta: f32,
}

impl Default for Goal {
    fn default() -> Self {
        Self {
            prediction: None,
            loss: Loss::CrossEntropy,
            weight: 1.0,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            soft_labels: false,
            huber_delta: 1.0,
        }
    }
}

impl Goal {
    /// Says what does not hold of it.
    fn check(&self) -> Result<(), &'static str> {
        let weights = &self.class_weights;
        let positive = |value: f32| value > 0.0 && value.is_finite();
        let rules = [
            (positive(self.weight), "a goal's weight must be more than 0"),
            (
                (0.0..1.0).contains(&self.label_smoothing),
                "labelSmoothing must be at least 0 and less than 1",
            ),
            (
                weights
                    .iter()
                    .all(|&weight| weight >= 0.0 && weight.is_finite())
                    && (weights.is_empty() || weights.iter().any(|&weight| weight > 0.0)),
                "classWeights must be at least 0, and not all of them 0",
            ),
            (
                self.loss == Loss::CrossEntropy || weights.is_empty(),
                "classWeights are for CROSS_ENTROPY: leave them out with another loss",
            ),
            (
                self.loss == Loss::CrossEntropy || !self.soft_labels,
                "softLabels are for CROSS_ENTROPY: leave them out with another loss",
            ),
            (positive(self.huber_delta), "huberDelta must be positive"),
        ];
        first_broken(&rules)
    }
}

impl Hyperparameters {
    /// What is minimised: the goals that are named, or else the one that the loss and what belongs to it are.
    #[must_use]
    pub fn goals(&self) -> Vec<Goal> {
        if self.tuning.goals.is_empty() {
            vec![self.only_goal()]
        } else {
            self.tuning.goals.clone()
        }
    }

    fn only_goal(&self) -> Goal {
        let tuning = &self.tuning;
        Goal {
            prediction: tuning.prediction.clone(),
            loss: self.loss,
            weight: 1.0,
            label_smoothing: tuning.label_smoothing,
            class_weights: tuning.class_weights.clone(),
            soft_labels: tuning.soft_labels,
            huber_delta: tuning.huber_delta,
        }
    }

    /// Says what does not hold of the goals.
    ///
    /// # Errors
    /// The rule, in the words of the API.
    pub fn check_goals(&self) -> Result<(), &'static str> {
        let goals = self.goals();
        goals.iter().try_for_each(Goal::check)?;
        let named = &self.tuning.goals;
        let is_twice = |(place, goal): (usize, &Goal)| {
            let before = named[..place].iter();
            before
                .map(|goal| &goal.prediction)
                .any(|name| *name == goal.prediction)
        };
        #[expect(clippy::float_cmp, reason = "the default is exactly 1")]
        let is_weighted = named.len() == 1 && named[0].weight != 1.0;
        let rules = [
            (
                // Losses have a default, and so are not told from one that was asked for.
                named.is_empty()
                    || self.only_goal()
                        == Goal {
                            loss: self.loss,
                            ..Goal::default()
                        },
                "with goals, prediction, labelSmoothing, classWeights, softLabels and huberDelta stand in each of them",
            ),
            (
                named.len() < 2 || named.iter().all(|goal| goal.prediction.is_some()),
                "of several goals each needs the name of its prediction",
            ),
            (
                !named.iter().enumerate().any(is_twice),
                "each goal has a prediction of its own",
            ),
            (
                !is_weighted,
                "weights balance several goals: leave the weight of the only one out",
            ),
        ];
        first_broken(&rules)
    }
}

fn first_broken(rules: &[(bool, &'static str)]) -> Result<(), &'static str> {
    match rules.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, rule)) => Err(rule),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::training::Optimizer;
    use crate::tuning::Tuning;

    fn with(tuning: Tuning) -> Hyperparameters {
        Hyperparameters {
            epochs: 1,
            batch_size: 1,
            optimizer: Optimizer::Sgd,
            learning_rate: 0.1,
            loss: Loss::Huber,
            max_bad_records: 0.0,
            tuning,
            early_stopping: None,
        }
    }

    fn goal(prediction: &str) -> Goal {
        Goal {
            prediction: Some(prediction.to_owned()),
            ..Goal::default()
        }
    }

    #[test]
    fn one_loss_is_one_goal() {
        let one = with(Tuning {
            huber_delta: 0.5,
            prediction: Some("p".to_owned()),
            ..Tuning::default()
        });
        let expected = Goal {
            loss: Loss::Huber,
            huber_delta: 0.5,
            ..goal("p")
        };
        assert_eq!(one.goals(), [expected]);
        assert_eq!(one.check_goals(), Ok(()));
        let goals = vec![goal("a"), goal("b")];
        let several = with(Tuning {
            goals: goals.clone(),
            ..Tuning::default()
        });
        assert_eq!(several.goals(), goals);
        assert_eq!(several.check_goals(), Ok(()));
        let text = serde_json::to_string(&several).unwrap();
        assert_eq!(
            serde_json::from_str::<Hyperparameters>(&text).unwrap(),
            several
        );
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let usual = Tuning::default;
        let only = |goal: Goal| Tuning {
            goals: vec![goal],
            ..usual()
        };
        let wrong = [
            (
                Tuning {
                    label_smoothing: 1.0,
                    ..usual()
                },
                "labelSmoothing",
            ),
            (
                Tuning {
                    class_weights: vec![1.0],
                    ..usual()
                },
                "CROSS_ENTROPY",
            ),
            (
                Tuning {
                    soft_labels: true,
                    ..usual()
                },
                "CROSS_ENTROPY",
            ),
            (
                Tuning {
                    huber_delta: 0.0,
                    ..usual()
                },
                "huberDelta",
            ),
            (
                only(Goal {
                    class_weights: vec![0.0, 0.0],
                    ..goal("a")
                }),
                "classWeights",
            ),
            (
                only(Goal {
                    weight: 0.0,
                    ..goal("a")
                }),
                "more than 0",
            ),
            (
                only(Goal {
                    weight: 2.0,
                    ..goal("a")
                }),
                "the only one",
            ),
            (
                Tuning {
                    goals: vec![goal("a"), goal("a")],
                    ..usual()
                },
                "of its own",
            ),
            (
                Tuning {
                    goals: vec![goal("a"), Goal::default()],
                    ..usual()
                },
                "the name",
            ),
            (
                Tuning {
                    prediction: Some("a".to_owned()),
                    ..only(goal("a"))
                },
                "stand in each",
            ),
        ];
        for (tuning, words) in wrong {
            let rule = with(tuning.clone()).check_goals().unwrap_err();
            assert!(rule.contains(words), "{rule}: {tuning:?}");
        }
    }
}
