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

/// With more classes than so many there is an accuracy of the best so many.
pub const TOP: usize = 5;
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
    let mut names = vec!["accuracy", "precision_macro", "recall_macro", "f1_macro"];
    if classes > TOP {
        names.push("top_5_accuracy");
    }
    match classes {
        2 => names.extend(["precision", "recall", "f1", "auc"]),
        3..=MOST_CURVES => names.push("auc_macro"),
        _ => {}
    }
    names
}

/// The metrics of an epoch: those of the training part while it trains, and where there is a validation part all of that.
#[must_use]
pub fn of_epoch(judged: Judged, validates: bool) -> Vec<String> {
    let mut names = vec!["loss".to_owned()];
    if matches!(judged, Judged::Classes(_)) {
        names.push("accuracy".to_owned());
    }
    if validates {
        let part = std::iter::once("loss").chain(of_part(judged));
        names.extend(part.map(|name| format!("validation_{name}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_validated_has_few_metrics() {
        assert_eq!(of_epoch(Judged::Classes(3), false), ["loss", "accuracy"]);
        assert_eq!(of_epoch(Judged::Answers, false), ["loss"]);
        let numbers = [
            "loss",
            "validation_loss",
            "validation_mae",
            "validation_rmse",
            "validation_r2",
        ];
        assert_eq!(of_epoch(Judged::Numbers, true), numbers);
    }
}
