//! The predictions that a step learns: their names in the step graph, and the loss that is the sum of theirs.

use super::loss::{self, Objective, Place};
use super::{Goal, Target, names};
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::{ElementType, Error};

/// All goals of a step on a model.
pub(super) struct Targets {
    all: Vec<(Place, Box<dyn Objective>)>,
    weights: Vec<f64>,
}

impl Targets {
    /// Fits the goals to the model's predictions, of which there are as many.
    pub(super) fn new(
        forward: &Forward,
        goals: &[Goal],
        places: Vec<Place>,
    ) -> Result<Self, Error> {
        let all = places.into_iter().zip(goals);
        let all = all.map(|(place, goal)| {
            let objective = loss::objective(&goal.loss, forward, &place)?;
            Ok((place, objective))
        });
        Ok(Self {
            all: all.collect::<Result<_, Error>>()?,
            weights: goals.iter().map(|goal| goal.weight).collect(),
        })
    }

    /// The tensors with whose gradients differentiation begins.
    pub(super) fn tensors(&self) -> Vec<&str> {
        let objectives = self.all.iter();
        objectives
            .map(|(_, objective)| objective.target())
            .collect()
    }

    /// What they are called and have to be.
    pub(super) fn infos(&self, forward: &Forward) -> Vec<Target> {
        let info = |(place, objective): &(Place, Box<dyn Objective>)| Target {
            prediction: forward.prediction_info(&place.prediction),
            labels: objective.labels(),
            loss: place.loss.clone(),
            answers: objective.answers(),
            are_class_logits: objective.are_class_logits(),
        };
        self.all.iter().map(info).collect()
    }

    /// Emits each loss, and their weighted sum where there are several.
    pub(super) fn emit_loss(&mut self, emitter: &mut Emitter) {
        for (place, objective) in &mut self.all {
            emitter.enter(place.loss.clone());
            objective.emit_loss(emitter, &place.loss);
        }
        if self.all.len() == 1 {
            return;
        }
        emitter.enter(names::LOSS.to_owned());
        let losses = self.all.iter().map(|(place, _)| place.loss.as_str());
        let weighted: Vec<String> = losses
            .zip(&self.weights)
            .map(|(loss, &weight)| {
                let weight = emitter.float(weight, ElementType::Float32);
                emitter.node("Mul", &[loss, &weight])
            })
            .collect();
        let mut weighted = weighted.into_iter();
        let (Some(mut sum), Some(last)) = (weighted.next(), weighted.next_back()) else {
            return;
        };
        for loss in weighted {
            sum = emitter.node("Add", &[&sum, &loss]);
        }
        emitter.named(names::LOSS, "Add", &[&sum, &last]);
    }

    /// Emits the gradient of each of [`Targets::tensors`], after the loss.
    pub(super) fn emit_gradients(&mut self, emitter: &mut Emitter) -> Vec<(String, String)> {
        let several = self.all.len() > 1;
        let mut gradients = Vec::with_capacity(self.all.len());
        for ((place, objective), &weight) in self.all.iter_mut().zip(&self.weights) {
            emitter.enter(format!("gradient/{}", place.loss));
            let mut gradient = objective.emit_gradient(emitter);
            if several {
                let weight = emitter.float(weight, ElementType::Float32);
                gradient = emitter.node("Mul", &[&gradient, &weight]);
            }
            gradients.push((objective.target().to_owned(), gradient));
        }
        gradients
    }
}

/// The names that belong to each of the model's predictions.
pub(super) fn places(predictions: &[String]) -> Vec<Place> {
    let is_alone = predictions.len() == 1;
    let named = |name: &str, output: &str| {
        if is_alone {
            name.to_owned()
        } else {
            names::of_output(name, output)
        }
    };
    let place = |output: &String| Place {
        prediction: named(names::PREDICTION, output),
        labels: named(names::LABELS, output),
        loss: named(names::LOSS, output),
    };
    predictions.iter().map(place).collect()
}

/// Checks what does not depend on the model.
pub(super) fn check(goals: &[Goal]) -> Result<(), Error> {
    if goals.is_empty() {
        return Err(Error::request("there is nothing to learn: give one loss"));
    }
    for goal in goals {
        if !(goal.weight > 0.0 && goal.weight.is_finite()) {
            return Err(Error::request(format!(
                "the weight of a loss is {}, and must be more than 0",
                goal.weight
            )));
        }
        #[expect(clippy::float_cmp, reason = "the default is exactly 1")]
        if goals.len() == 1 && goal.weight != 1.0 {
            return Err(Error::request(
                "weights balance several losses, and there is one: change the learning rate instead",
            ));
        }
        if goals.len() > 1 && goal.prediction.is_none() {
            return Err(Error::request(
                "of several losses each needs the name of its prediction",
            ));
        }
    }
    Ok(())
}
