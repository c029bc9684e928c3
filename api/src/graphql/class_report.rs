//! What the test part of a training's segment says of each class.

use async_graphql::SimpleObject;
use millrace_wire::event;

use super::Long;

/// How well a classifier tells the classes apart, on records that its training never saw.
#[derive(SimpleObject)]
pub struct ClassReport {
    /// By the index of the class.
    classes: Vec<ClassMetrics>,
    /// Records by label (the row) and prediction (the column); empty where there are more than 256
    /// classes.
    confusion: Vec<Vec<Long>>,
}

/// How well one class is told from the others. A share of nothing is 0.
#[derive(SimpleObject)]
pub struct ClassMetrics {
    /// Records with this label.
    records: Long,
    /// The share of the predictions of this class that are right.
    precision: f64,
    /// The share of the records of this class that are found.
    recall: f64,
    /// The harmonic mean of both.
    f1: f64,
    /// The area under the ROC curve of this class against the others; null where there are more than
    /// 16 classes, or records of one kind alone.
    auc: Option<f64>,
}

impl From<event::ClassReport> for ClassReport {
    fn from(report: event::ClassReport) -> Self {
        let class = |class: event::ClassMetrics| ClassMetrics {
            records: class.records.into(),
            precision: class.precision,
            recall: class.recall,
            f1: class.f1,
            auc: class.auc,
        };
        let row = |row: Vec<u64>| row.into_iter().map(Into::into).collect();
        Self {
            classes: report.classes.into_iter().map(class).collect(),
            confusion: report.confusion.into_iter().map(row).collect(),
        }
    }
}
