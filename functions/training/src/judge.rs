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

/// The judgement of a part of the records.
#[derive(Debug)]
pub struct Judge {
    answers: Option<Answers>,
    loss: f64,
    records: u64,
    kind: Option<Kind>,
}

#[derive(Debug)]
enum Kind {
    Classes(Classes),
    Numbers(Numbers),
}

impl Judge {
    /// Of predictions that are classes, numbers, or `answers` with yes or no.
    pub fn new(answers: Option<Answers>) -> Self {
        Self {
            answers,
            loss: 0.0,
            records: 0,
            kind: None,
        }
    }

    /// Adds a batch with its mean loss and its predictions.
    pub fn add(&mut self, batch: &Batch, loss: f32, prediction: &View<'_>) {
        let Some(numbers) = prediction.as_f32() else {
            return;
        };
        let records = batch.len();
        let Some(width) = numbers
            .len()
            .checked_div(records)
            .filter(|width| *width > 0)
        else {
            return;
        };
        self.loss += f64::from(loss) * to_f64(records as u64);
        self.records += records as u64;
        let rows = numbers.chunks_exact(width);
        if let Some(labels) = batch.classes() {
            let kind = self
                .kind
                .get_or_insert_with(|| Kind::Classes(Classes::new(width)));
            if let Kind::Classes(classes) = kind {
                for (row, label) in rows.zip(labels) {
                    classes.add(row, usize::try_from(*label).unwrap_or(usize::MAX));
                }
            }
        } else if let (Some(answers), Some(labels)) = (self.answers, batch.values()) {
            let kind = self
                .kind
                .get_or_insert_with(|| Kind::Classes(Classes::new(2)));
            if let Kind::Classes(classes) = kind {
                let threshold = match answers {
                    Answers::Probabilities => 0.5,
                    Answers::Logits => 0.0,
                };
                for (score, label) in numbers.iter().zip(labels) {
                    classes.add_answer(*score, *score > threshold, *label > 0.5);
                }
            }
        } else if let Some(labels) = batch.values() {
            let kind = self
                .kind
                .get_or_insert_with(|| Kind::Numbers(Numbers::new(width)));
            if let Kind::Numbers(numbers) = kind {
                for (row, label) in rows.zip(labels.chunks_exact(width)) {
                    numbers.add(row, label);
                }
            }
        }
    }

    /// Writes all metrics into `metrics`, with a prefix. Nothing is written where no record was seen.
    pub fn write(&self, prefix: &str, metrics: &mut BTreeMap<String, f64>) {
        if self.records == 0 {
            return;
        }
        let mut write = |name: &str, value: f64| {
            metrics.insert(format!("{prefix}{name}"), value);
        };
        write("loss", self.loss / to_f64(self.records));
        match &self.kind {
            Some(Kind::Classes(classes)) => classes.write(&mut write),
            Some(Kind::Numbers(numbers)) => numbers.write(&mut write),
            None => {}
        }
    }

    /// What there is to say of each class.
    pub fn report(&self) -> Option<ClassReport> {
        match &self.kind {
            Some(Kind::Classes(classes)) => Some(classes.report()),
            _ => None,
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
