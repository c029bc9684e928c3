//! Metrics of classification: accuracy, top-k, precision, recall and F1, the area under the ROC
//! curve, the confusion matrix.
//!
//! Precision, recall and F1 are 0 where nothing was predicted or nothing was there; their macro
//! average is over the classes that occur as a label or as a prediction, their micro average of the
//! counts of all classes together (as scikit-learn has them). With one label a record the micro
//! averages all are the accuracy. Areas are those of probabilities, also where a model gives logits.

use millrace_wire::event::{ClassMetrics, ClassReport};
use millrace_wire::metric::{MOST_CURVES, TOPS};

use super::curve::Curve;
use super::{ratio, to_f64};

/// With more classes than these nobody reads the matrix, and it takes their square in memory.
const MOST_IN_MATRIX: usize = 256;

/// Counts over the records seen.
#[derive(Debug)]
pub(super) struct Classes {
    counts: Vec<Counts>,
    /// Row by row: records of a label by prediction. Empty where there are too many classes.
    matrix: Vec<u64>,
    /// One for each class against the others; empty where there are too many classes.
    curves: Vec<Curve>,
    /// How often the label was among the best so many.
    in_tops: [u64; TOPS.len()],
    records: u64,
}

/// Of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    right: u64,
    predicted: u64,
    labelled: u64,
}

impl Counts {
    fn all(counts: &[Self]) -> Self {
        counts.iter().fold(Self::default(), |sum, own| Self {
            right: sum.right + own.right,
            predicted: sum.predicted + own.predicted,
            labelled: sum.labelled + own.labelled,
        })
    }

    fn precision(&self) -> f64 {
        ratio(self.right, self.predicted)
    }

    fn recall(&self) -> f64 {
        ratio(self.right, self.labelled)
    }

    /// The harmonic mean of precision and recall.
    fn f1(&self) -> f64 {
        ratio(2 * self.right, self.predicted + self.labelled)
    }
}

impl Classes {
    /// Of so many classes.
    pub(super) fn new(classes: usize) -> Self {
        let matrix = if classes <= MOST_IN_MATRIX {
            vec![0; classes * classes]
        } else {
            Vec::new()
        };
        let curves = match classes {
            2 => 1,
            3..=MOST_CURVES => classes,
            _ => 0,
        };
        Self {
            counts: vec![Counts::default(); classes],
            matrix,
            curves: vec![Curve::default(); curves],
            in_tops: [0; TOPS.len()],
            records: 0,
        }
    }

    /// Adds a record by its probabilities, one a class, and its label.
    pub(super) fn add(&mut self, probabilities: &[f32], label: usize) {
        self.add_order(probabilities, label);
        self.add_to_curves(label, |class| probabilities[class]);
    }

    /// Adds a record by its logits. Those of one record are in the order of their probabilities, and those of several records are
    /// not: curves compare records.
    pub(super) fn add_logits(&mut self, logits: &[f32], label: usize) {
        self.add_order(logits, label);
        if !self.curves.is_empty() {
            let most = f64::from(logits[best(logits)]);
            let power = |logit: f32| (f64::from(logit) - most).exp();
            let sum: f64 = logits.iter().copied().map(power).sum();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a softmax of the model's own gives single precision too"
            )]
            self.add_to_curves(label, |class| (power(logits[class]) / sum) as f32);
        }
    }

    /// Adds what the order of one record's scores says.
    fn add_order(&mut self, scores: &[f32], label: usize) {
        let Some(own) = scores.get(label) else {
            return;
        };
        self.count(best(scores), label);
        // Of equal scores the first ones are the better.
        let (before, after) = scores.split_at(label);
        let better = before.iter().filter(|score| *score >= own).count()
            + after.iter().filter(|score| *score > own).count();
        for (count, (top, _)) in self.in_tops.iter_mut().zip(TOPS) {
            *count += u64::from(better < top);
        }
    }

    fn add_to_curves(&mut self, label: usize, probability: impl Fn(usize) -> f32) {
        if label >= self.counts.len() {
            return;
        }
        match self.curves.as_mut_slice() {
            // With two classes the one curve is the second's, which is the positive one.
            [curve] => curve.add(probability(1), label == 1),
            curves => {
                for (class, curve) in curves.iter_mut().enumerate() {
                    curve.add(probability(class), class == label);
                }
            }
        }
    }

    /// Adds an answer with yes or no by its score: of two classes, yes is the second.
    pub(super) fn add_answer(&mut self, score: f32, predicted: bool, label: bool) {
        self.count(usize::from(predicted), usize::from(label));
        if let [curve] = self.curves.as_mut_slice() {
            curve.add(score, label);
        }
    }

    fn count(&mut self, predicted: usize, label: usize) {
        self.records += 1;
        self.counts[label].labelled += 1;
        self.counts[predicted].predicted += 1;
        if predicted == label {
            self.counts[label].right += 1;
        }
        if let Some(cell) = self.matrix.get_mut(label * self.counts.len() + predicted) {
            *cell += 1;
        }
    }

    pub(super) fn write(&self, write: &mut impl FnMut(&str, f64)) {
        let all = Counts::all(&self.counts);
        write("accuracy", ratio(all.right, self.records));
        for (count, (top, name)) in self.in_tops.iter().zip(TOPS) {
            if self.counts.len() > top {
                write(name, ratio(*count, self.records));
            }
        }
        write("precision_micro", all.precision());
        write("recall_micro", all.recall());
        write("f1_micro", all.f1());
        let occurring = self
            .counts
            .iter()
            .filter(|counts| counts.labelled + counts.predicted > 0);
        let count = to_f64(occurring.clone().count() as u64);
        let average =
            |metric: fn(&Counts) -> f64| occurring.clone().map(metric).sum::<f64>() / count;
        write("precision_macro", average(Counts::precision));
        write("recall_macro", average(Counts::recall));
        write("f1_macro", average(Counts::f1));
        if let [_, positive] = self.counts.as_slice() {
            write("precision", positive.precision());
            write("recall", positive.recall());
            write("f1", positive.f1());
        }
        let areas: Vec<f64> = self.curves.iter().filter_map(Curve::area).collect();
        match areas.as_slice() {
            [] => {}
            [area] => write("auc", *area),
            areas => {
                let count = to_f64(areas.len() as u64);
                write("auc_macro", areas.iter().sum::<f64>() / count);
            }
        }
    }

    pub(super) fn report(&self) -> ClassReport {
        let area = |class: usize| match (self.curves.as_slice(), class) {
            // Turning both the labels and the order of scores around leaves the area as it is.
            ([curve], _) => curve.area(),
            (curves, class) => curves.get(class)?.area(),
        };
        let of_class = |(class, counts): (usize, &Counts)| ClassMetrics {
            records: counts.labelled,
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            auc: area(class),
        };
        let rows = self.matrix.chunks_exact(self.counts.len().max(1));
        ClassReport {
            classes: self.counts.iter().enumerate().map(of_class).collect(),
            confusion: rows.map(<[u64]>::to_vec).collect(),
        }
    }
}

/// The class with the largest score. Of equal ones the first counts.
fn best(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use millrace_wire::metric::{Judged, of_part};

    use super::*;

    fn metrics(classes: &Classes) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        classes.write(&mut |name, value| {
            found.insert(name.to_owned(), value);
        });
        found
    }

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-12,
            "{found} is not {expected}"
        );
    }

    /// Worked out by hand; class 3 never occurs and does not count.
    #[test]
    fn metrics_of_four_classes() {
        let mut classes = Classes::new(4);
        for (predicted, label) in [(0, 0), (0, 0), (1, 0), (1, 1), (2, 1), (2, 2)] {
            let mut scores = [0.0; 4];
            scores[predicted] = 1.0;
            classes.add(&scores, label);
        }
        let found = metrics(&classes);
        close(found["accuracy"], 4.0 / 6.0);
        close(found["precision_macro"], (1.0 + 0.5 + 0.5) / 3.0);
        close(found["recall_macro"], (2.0 / 3.0 + 0.5 + 1.0) / 3.0);
        close(found["f1_macro"], (0.8 + 0.5 + 2.0 / 3.0) / 3.0);
        for micro in ["precision_micro", "recall_micro", "f1_micro"] {
            close(found[micro], 4.0 / 6.0);
        }
        // Of equal scores the first ones are the best, so that no label is the last of the four.
        close(found["top_3_accuracy"], 1.0);
        assert!(!found.contains_key("top_5_accuracy") && !found.contains_key("f1"));

        let report = classes.report();
        assert_eq!(
            report.confusion,
            [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
        );
        assert_eq!(report.classes[1].records, 2);
        close(report.classes[0].f1, 0.8);
        assert_eq!(report.classes[3].auc, None);
    }

    #[test]
    fn the_metrics_are_those_that_are_promised() {
        let names = |classes: &Classes| metrics(classes).into_keys().collect::<Vec<_>>();
        let promised = |judged| {
            let mut names = of_part(judged);
            names.sort_unstable();
            names
        };
        for width in [2, 3, 4, 5, 6, 11, MOST_CURVES, MOST_CURVES + 1] {
            let mut classes = Classes::new(width);
            for label in 0..width {
                classes.add(&vec![0.5; width], label);
            }
            assert_eq!(names(&classes), promised(Judged::Classes(width)), "{width}");
        }
        let mut answers = Classes::new(2);
        answers.add_answer(0.1, false, true);
        answers.add_answer(0.2, false, false);
        assert_eq!(names(&answers), promised(Judged::Answers));
    }

    #[test]
    fn two_classes_have_a_positive_one() {
        let mut classes = Classes::new(2);
        for (score, label) in [(0.9, 1), (0.6, 0), (0.4, 1), (0.2, 0), (0.1, 0)] {
            classes.add(&[1.0 - score, score], label);
        }
        let found = metrics(&classes);
        close(found["precision"], 0.5);
        close(found["recall"], 0.5);
        close(found["f1"], 0.5);
        // Of the 2 · 3 pairs one stands the wrong way round.
        close(found["auc"], 5.0 / 6.0);
        close(classes.report().classes[0].auc.unwrap(), 5.0 / 6.0);
    }

    /// Logits that are all raised by the same number mean the same, and the areas are those of the probabilities.
    #[test]
    fn logits_of_several_records_are_compared_as_probabilities() {
        const ROWS: [[[f32; 2]; 5]; 2] = [
            [[0.0, 1.0], [5.0, 4.0], [-3.0, -1.0], [8.0, 8.5], [2.0, 2.1]],
            [[-1.0, 0.5], [7.0, 7.5], [2.0, 0.0], [0.0, 3.0], [9.0, 6.0]],
        ];
        for rows in ROWS {
            let (mut given, mut expected) = (Classes::new(2), Classes::new(2));
            for (row, label) in rows.iter().zip([1, 0, 1, 0, 0]) {
                given.add_logits(row, label);
                let yes = 1.0 / (1.0 + (row[0] - row[1]).exp());
                expected.add(&[1.0 - yes, yes], label);
            }
            assert_eq!(metrics(&given), metrics(&expected));
        }
        let mut classes = Classes::new(3);
        for (row, label) in [
            ([0.0, 2.0, 0.0], 1),
            ([6.0, 4.0, 6.0], 0),
            ([1.0, 0.0, 3.0], 2),
        ] {
            classes.add_logits(&row, label);
        }
        // By bare logits the second record would be the likelier one of class 1.
        close(classes.report().classes[1].auc.unwrap(), 1.0);
    }

    #[test]
    fn answers_are_two_classes() {
        let mut classes = Classes::new(2);
        let answers = [
            (2.5, true),
            (0.5, false),
            (-0.5, true),
            (-2.0, false),
            (-3.0, false),
        ];
        for (score, label) in answers {
            classes.add_answer(score, score > 0.0, label);
        }
        let found = metrics(&classes);
        close(found["accuracy"], 3.0 / 5.0);
        close(found["f1"], 0.5);
        close(found["auc"], 5.0 / 6.0);
        assert_eq!(classes.report().confusion, [[2, 1], [1, 1]]);
    }

    #[test]
    fn the_best_of_many_are_the_top() {
        let mut classes = Classes::new(7);
        let scores = [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        for label in 0..7 {
            classes.add(&scores, label);
        }
        // Of equal scores the first ones are the best.
        classes.add(&[0.5; 7], 5);
        let found = metrics(&classes);
        close(found["top_3_accuracy"], 3.0 / 8.0);
        close(found["top_5_accuracy"], 5.0 / 8.0);
        assert!(!found.contains_key("top_10_accuracy"));
    }

    #[test]
    fn very_many_classes_take_little_memory() {
        let mut classes = Classes::new(100_000);
        let mut scores = vec![0.0; 100_000];
        scores[7] = 1.0;
        classes.add(&scores, 7);
        assert!(classes.report().confusion.is_empty());
        close(metrics(&classes)["accuracy"], 1.0);
    }
}
