//! How good predictions are, added up batch by batch in bounded memory.
//!
//! What comes out depends on the predictions and their order alone.

mod classes;
mod curve;
mod numbers;

use std::collections::BTreeMap;

use millrace_engine::View;
use millrace_onnx::step::Answers;
use millrace_wire::event::ClassReport;

use self::classes::Classes;
use self::numbers::Numbers;
use crate::batch::Batch;
use crate::score::Mean;
use crate::targets::Target;

/// The judgement of a part of the records.
#[derive(Debug)]
pub struct Judge {
    records: u64,
    predictions: Vec<Prediction>,
}

/// The judgement of one prediction.
#[derive(Debug)]
struct Prediction {
    /// What the names of its metrics end in.
    suffix: String,
    answers: Option<Answers>,
    are_class_logits: bool,
    /// By what its loss is multiplied in the sum of all.
    weight: f32,
    loss: Mean,
    kind: Option<Kind>,
}

#[derive(Debug)]
enum Kind {
    Classes(Classes),
    Numbers(Numbers),
}

impl Judge {
    /// Of these predictions, which are classes, numbers, or answers with yes or no.
    pub fn new(targets: &[Target]) -> Self {
        let predictions = targets.iter().map(|target| Prediction {
            suffix: target.suffix.clone(),
            answers: target.answers,
            are_class_logits: target.are_class_logits,
            weight: target.weight,
            loss: Mean::default(),
            kind: None,
        });
        Self {
            records: 0,
            predictions: predictions.collect(),
        }
    }

    /// Adds a batch of so many records.
    pub fn add(&mut self, records: usize) {
        self.records += records as u64;
    }

    /// Adds one prediction for a batch, with its own mean loss.
    pub fn add_prediction(
        &mut self,
        number: usize,
        target: &Target,
        batch: &Batch,
        loss: f32,
        view: &View<'_>,
    ) {
        let prediction = &mut self.predictions[number];
        prediction.loss.add(batch.mass(number, target), loss);
        if let Some(numbers) = view.as_f32() {
            prediction.add(
                batch.len(),
                numbers,
                batch.classes(number),
                batch.values(number),
            );
        }
    }

    /// Writes all metrics into `metrics`, with a prefix. Nothing is written where no record was seen.
    pub fn write(&self, prefix: &str, metrics: &mut BTreeMap<String, f64>) {
        if self.records == 0 {
            return;
        }
        let losses = self.predictions.iter();
        let losses = losses.map(|own| f64::from(own.weight) * own.loss.value());
        metrics.insert(format!("{prefix}loss"), losses.sum());
        for prediction in &self.predictions {
            let suffix = &prediction.suffix;
            let mut write = |name: &str, value: f64| {
                metrics.insert(format!("{prefix}{name}{suffix}"), value);
            };
            if !suffix.is_empty() {
                write("loss", prediction.loss.value());
            }
            match &prediction.kind {
                Some(Kind::Classes(classes)) => classes.write(&mut write),
                Some(Kind::Numbers(numbers)) => numbers.write(&mut write),
                None => {}
            }
        }
    }

    /// What there is to say of each class, of the first prediction that is one of classes.
    pub fn report(&self) -> Option<ClassReport> {
        self.predictions
            .iter()
            .find_map(|prediction| match &prediction.kind {
                Some(Kind::Classes(classes)) => Some(classes.report()),
                _ => None,
            })
    }
}

impl Prediction {
    /// Adds so many records' predictions with their labels: classes, or numbers.
    fn add(
        &mut self,
        records: usize,
        numbers: &[f32],
        classes: Option<&[i64]>,
        values: Option<&[f32]>,
    ) {
        let Some(width) = numbers
            .len()
            .checked_div(records)
            .filter(|width| *width > 0)
        else {
            return;
        };
        let rows = numbers.chunks_exact(width);
        match (classes, self.answers, values) {
            (Some(labels), _, _) => {
                let kind = self
                    .kind
                    .get_or_insert_with(|| Kind::Classes(Classes::new(width)));
                if let Kind::Classes(classes) = kind {
                    for (row, label) in rows.zip(labels) {
                        let label = usize::try_from(*label).unwrap_or(usize::MAX);
                        if self.are_class_logits {
                            classes.add_logits(row, label);
                        } else {
                            classes.add(row, label);
                        }
                    }
                }
            }
            (None, Some(answers), Some(labels)) => {
                let kind = self
                    .kind
                    .get_or_insert_with(|| Kind::Classes(Classes::new(2)));
                let threshold = match answers {
                    Answers::Probabilities => 0.5,
                    Answers::Logits => 0.0,
                };
                if let Kind::Classes(classes) = kind {
                    for (score, label) in numbers.iter().zip(labels) {
                        classes.add_answer(*score, *score > threshold, *label > 0.5);
                    }
                }
            }
            (None, None, Some(labels)) => {
                let kind = self
                    .kind
                    .get_or_insert_with(|| Kind::Numbers(Numbers::new(width)));
                if let Kind::Numbers(numbers) = kind {
                    for (row, label) in rows.zip(labels.chunks_exact(width)) {
                        numbers.add(row, label);
                    }
                }
            }
            (None, _, None) => {}
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of records are below 2^32"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// A share that is 0 where there is nothing to share.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    to_f64(part) / to_f64(whole)
}
