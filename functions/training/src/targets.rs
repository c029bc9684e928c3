//! What a training learns: which numbers of a label belong to which prediction of the model, and what they are.

use millrace_onnx::step::{Answers, names};
use millrace_onnx::{ElementType, StepGraph, TensorInfo};
use millrace_wire::goal::Goal;
use millrace_wire::metric;
use millrace_wire::record::{DecodeError, Label, check_probabilities, class_index, one_hot_index};

use crate::failure::Failure;
use crate::inputs::{Inputs, row};

/// How records go into the step graph.
#[derive(Debug, Clone)]
pub struct Shapes {
    /// The model's inputs.
    pub inputs: Inputs,
    /// Its labels, by prediction.
    pub targets: Vec<Target>,
}

/// A prediction that learns from labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What the labels, the prediction and its loss are called in the step graph.
    pub labels: String,
    /// The prediction.
    pub prediction: String,
    /// Its loss.
    pub loss: String,
    /// What follows the names of its metrics: nothing where it is the only one.
    pub suffix: String,
    /// What its part of a label is.
    pub kind: Kind,
    /// The shape of one label, as the step graph takes it; empty for a class.
    pub shape: Vec<usize>,
    /// What its numbers are, where each answers a question with yes or no.
    pub answers: Option<Answers>,
    /// Whether they are logits of classes.
    pub are_class_logits: bool,
    /// By what its loss is multiplied in the sum of all.
    pub weight: f32,
    /// How much each class counts in its loss; empty where all count alike.
    pub class_weights: Vec<f32>,
}

impl Target {
    /// By what a batch's mean loss counts beside that of other batches: by how many records it has, or where classes have
    /// weights by the sum of those of its labels (which are classes, or the probability of each), of which the loss is the mean.
    pub fn mass(&self, records: usize, classes: Option<&[i64]>, values: Option<&[f32]>) -> f64 {
        let weights = self.class_weights.as_slice();
        if weights.is_empty() {
            #[allow(clippy::cast_precision_loss, reason = "a batch has few records")]
            return records as f64;
        }
        let of_class = |class: &i64| {
            let class = usize::try_from(*class).unwrap_or(usize::MAX);
            weights.get(class).copied().map_or(0.0, f64::from)
        };
        match (values, classes) {
            (Some(values), _) => {
                let shares = values.iter().zip(weights.iter().cycle());
                shares
                    .map(|(share, weight)| f64::from(*share) * f64::from(*weight))
                    .sum()
            }
            (None, classes) => classes.unwrap_or_default().iter().map(of_class).sum(),
        }
    }
}

/// What the part of a label is that belongs to one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The index of one of so many classes.
    Class(u32),
    /// The same as so many numbers, 1 at its place and 0 at the others.
    OneHot(usize),
    /// The probability of each of so many classes.
    Probabilities(usize),
    /// So many numbers.
    Values(usize),
}

impl Kind {
    /// How many numbers it is.
    pub fn elements(self) -> usize {
        match self {
            Self::Class(_) => 1,
            Self::OneHot(elements) | Self::Probabilities(elements) | Self::Values(elements) => {
                elements
            }
        }
    }

    /// The class that its numbers say, where they say one. The others are checked as well.
    ///
    /// # Errors
    /// The record's fault.
    pub fn class(self, numbers: &[f32]) -> Result<Option<i64>, DecodeError> {
        match self {
            Self::Class(classes) => class_index(numbers[0], classes).map(Some),
            Self::OneHot(_) => one_hot_index(numbers).map(Some),
            Self::Probabilities(_) => check_probabilities(numbers).map(|()| None),
            Self::Values(_) => Ok(None),
        }
    }
}

/// The place of the largest number, the first of equal ones.
pub fn likeliest(numbers: &[f32]) -> i64 {
    let mut best = 0;
    for (place, number) in numbers.iter().enumerate() {
        if *number > numbers[best] {
            best = place;
        }
    }
    i64::try_from(best).unwrap_or(i64::MAX)
}

/// Fits the labels to the predictions, or says what does not fit.
pub fn plan(graph: &StepGraph, goals: &[Goal], label: &Label) -> Result<Vec<Target>, Failure> {
    let elements = label.elements();
    // Among others a class is always its number: nobody could tell where a one-hot one ends.
    let may_be_one_hot = graph.targets.len() == 1 && elements > 1;
    let mut targets = Vec::new();
    for (target, goal) in graph.targets.iter().zip(goals) {
        let shape = row_of(&target.prediction)?;
        let of_class = || match shape.as_slice() {
            [] => Ok(1),
            [classes] => Ok(*classes),
            _ => Err(Failure::new(
                "model-output",
                format!(
                    "the model predicts {0} as `{1}`, a class at each place, and a datasource's label is one class",
                    target.prediction, target.prediction.name
                ),
            )),
        };
        let kind = if target.labels.element == ElementType::Int64 {
            let classes = of_class()?;
            if may_be_one_hot {
                Kind::OneHot(classes)
            } else {
                Kind::Class(u32::try_from(classes).unwrap_or(u32::MAX))
            }
        } else if goal.soft_labels {
            Kind::Probabilities(of_class()?)
        } else {
            Kind::Values(shape.iter().product())
        };
        let takes_numbers = matches!(kind, Kind::Probabilities(_) | Kind::Values(_));
        let name = &target.prediction.name;
        let output = name
            .strip_prefix(names::PREDICTION)
            .and_then(|rest| rest.strip_prefix('.'));
        targets.push(Target {
            labels: target.labels.name.clone(),
            prediction: name.clone(),
            loss: target.loss.clone(),
            suffix: output.map(metric::suffix).unwrap_or_default(),
            kind,
            shape: if takes_numbers { shape } else { Vec::new() },
            answers: target.answers,
            are_class_logits: target.are_class_logits,
            weight: if graph.targets.len() > 1 {
                goal.weight
            } else {
                1.0
            },
            class_weights: goal.class_weights.clone(),
        });
    }
    let wanted: usize = targets.iter().map(|target| target.kind.elements()).sum();
    if wanted == elements {
        return Ok(targets);
    }
    Err(misfit(graph, &targets, wanted, elements))
}

/// A label has too few numbers, or too many.
fn misfit(graph: &StepGraph, targets: &[Target], wanted: usize, elements: usize) -> Failure {
    let predictions: Vec<String> = graph
        .targets
        .iter()
        .zip(targets)
        .map(|(target, fitted)| {
            let (prediction, name) = (&target.prediction, &target.prediction.name);
            let or_one = match fitted.kind {
                Kind::OneHot(_) => "one class, or ",
                _ => "",
            };
            let numbers = match fitted.kind {
                Kind::Class(_) => "one class".to_owned(),
                kind => format!("{or_one}{} numbers", kind.elements()),
            };
            format!("{prediction} as `{name}`, for which a label has {numbers}")
        })
        .collect();
    let together = if targets.len() > 1 {
        format!(": {wanted} in all")
    } else {
        String::new()
    };
    Failure::new(
        "label-shape",
        format!(
            "the model predicts {}{together}, and the datasource's labels have {elements}",
            predictions.join(", and ")
        ),
    )
}

fn row_of(prediction: &TensorInfo) -> Result<Vec<usize>, Failure> {
    row(prediction).ok_or_else(|| {
        Failure::new(
            "model-output",
            format!(
                "the model predicts {prediction} as `{}`: all its dimensions but the batch must be fixed",
                prediction.name
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_count_by_the_weights_of_their_labels() {
        let mut target = Target {
            labels: "labels".to_owned(),
            prediction: "prediction".to_owned(),
            loss: "loss".to_owned(),
            suffix: String::new(),
            kind: Kind::Class(3),
            shape: Vec::new(),
            answers: None,
            are_class_logits: true,
            weight: 1.0,
            class_weights: Vec::new(),
        };
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        near(target.mass(2, Some(&[0, 2]), None), 2.0);
        target.class_weights = vec![0.5, 1.0, 4.0];
        near(target.mass(2, Some(&[0, 2]), None), 4.5);
        let shares = [0.5, 0.5, 0.0, 0.0, 0.0, 1.0];
        near(target.mass(2, Some(&[0, 2]), Some(&shares)), 4.75);
    }
}
