//! Which metrics a training reports of each epoch, so that whoever starts one can be told at once that a metric is not among
//! them.

/// What predictions are judged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// One of so many classes.
    Classes(usize),
    /// Answers with yes or no.
    Answers,
    /// Numbers.
    Numbers,
}

/// With more classes than so many there is an accuracy of the best so many, under this name.
pub const TOPS: [(usize, &str); 3] = [
    (3, "top_3_accuracy"),
    (5, "top_5_accuracy"),
    (10, "top_10_accuracy"),
];
/// With more classes than so many there is no area under the ROC curve of each: their curves take too much memory.
pub const MOST_CURVES: usize = 16;

/// The metrics of a part of the records that is judged, apart from its `loss`. An area is left out where a class never
/// occurs, and R² where all labels are equal.
#[must_use]
pub fn of_part(judged: Judged) -> Vec<&'static str> {
    let classes = match judged {
        Judged::Numbers => return vec!["mae", "rmse", "r2"],
        Judged::Answers => 2,
        Judged::Classes(classes) => classes,
    };
    let mut names = vec!["accuracy"];
    names.extend(["precision_macro", "recall_macro", "f1_macro"]);
    names.extend(["precision_micro", "recall_micro", "f1_micro"]);
    let tops = TOPS.iter().filter(|(top, _)| classes > *top);
    names.extend(tops.map(|(_, name)| *name));
    match classes {
        2 => names.extend(["precision", "recall", "f1", "auc"]),
        3..=MOST_CURVES => names.push("auc_macro"),
        _ => {}
    }
    names
}

/// What follows the names of the metrics of one of several predictions: `accuracy.species`.
#[must_use]
pub fn suffix(prediction: &str) -> String {
    format!(".{prediction}")
}

/// The metrics of an epoch: those of the training part while it trains, and where there is a validation part all of that. With
/// each prediction stands what follows the names of its metrics; of several each has a loss of its own.
#[must_use]
pub fn of_epoch(predictions: &[(String, Judged)], validates: bool) -> Vec<String> {
    let all_of = |prefix: &str, metrics: fn(Judged) -> Vec<&'static str>| -> Vec<String> {
        let mut names = vec![format!("{prefix}loss")];
        for (suffix, judged) in predictions {
            let own = (!suffix.is_empty()).then_some("loss").into_iter();
            let own = own.chain(metrics(*judged));
            names.extend(own.map(|name| format!("{prefix}{name}{suffix}")));
        }
        names
    };
    let mut names = all_of("", |judged| match judged {
        Judged::Classes(_) => vec!["accuracy"],
        Judged::Answers | Judged::Numbers => Vec::new(),
    });
    if validates {
        names.extend(all_of("validation_", of_part));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_validated_has_few_metrics() {
        let one = |judged, validates| of_epoch(&[(String::new(), judged)], validates);
        assert_eq!(one(Judged::Classes(3), false), ["loss", "accuracy"]);
        assert_eq!(one(Judged::Answers, false), ["loss"]);
        let numbers = [
            "loss",
            "validation_loss",
            "validation_mae",
            "validation_rmse",
            "validation_r2",
        ];
        assert_eq!(one(Judged::Numbers, true), numbers);
    }

    #[test]
    fn of_several_predictions_each_has_its_own() {
        let two = [
            (suffix("kind"), Judged::Classes(20)),
            (suffix("size"), Judged::Numbers),
        ];
        let expected = ["loss", "loss.kind", "accuracy.kind", "loss.size"];
        assert_eq!(of_epoch(&two, false), expected);
        let validated = of_epoch(&two, true);
        for name in [
            "validation_loss",
            "validation_loss.size",
            "validation_r2.size",
        ] {
            assert!(validated.iter().any(|known| known == name), "{validated:?}");
        }
    }
}
