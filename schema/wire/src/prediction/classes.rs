//! Outputs as the scores of classes: named, ranked, left out below a threshold.
//!
//! Invariant: the score that is written is the model's own number.

use super::{Choice, Form, Output, Values, json};

/// How one output is written.
#[derive(Debug)]
pub(super) struct Field {
    /// What stands before it.
    name: Vec<u8>,
    form: Form,
    /// The names of its classes as JSON.
    classes: Vec<Vec<u8>>,
    threshold: Option<f64>,
}

impl Field {
    pub(super) fn new(name: Vec<u8>, choice: &Choice) -> Self {
        let class = |class: &String| {
            let mut text = Vec::new();
            json(&mut text, class);
            text
        };
        Self {
            name,
            form: choice.form,
            classes: choice.classes.iter().map(class).collect(),
            threshold: choice.threshold,
        }
    }

    /// Appends the output, and returns how many numbers became `null`.
    pub(super) fn encode(&self, output: &Output<'_>, buffer: &mut Vec<u8>) -> u64 {
        buffer.extend_from_slice(&self.name);
        // Texts and truth values have no score.
        let scores = Scores::of(output.values);
        match (self.form, scores) {
            (Form::Raw, Some(scores)) if !self.classes.is_empty() => self.by_class(scores, buffer),
            (Form::Raw, _) | (_, None) => output.encode(buffer),
            (Form::Argmax, Some(scores)) => {
                match scores.best(self.threshold).first() {
                    Some(place) => self.entry(scores, *place, buffer),
                    None => buffer.extend_from_slice(b"null"),
                }
                0
            }
            (Form::TopK(most), Some(scores)) => {
                buffer.push(b'[');
                let best = scores.best(self.threshold);
                for (rank, place) in best.iter().take(most as usize).enumerate() {
                    if rank > 0 {
                        buffer.push(b',');
                    }
                    self.entry(scores, *place, buffer);
                }
                buffer.push(b']');
                0
            }
        }
    }

    /// The scores by the names of their classes.
    fn by_class(&self, scores: Scores<'_>, buffer: &mut Vec<u8>) -> u64 {
        let mut nulls = 0;
        buffer.push(b'{');
        let mut is_first = true;
        let kept = |place: &usize| scores.keeps(self.threshold, *place);
        for place in (0..scores.len()).filter(kept) {
            if !is_first {
                buffer.push(b',');
            }
            is_first = false;
            match self.classes.get(place) {
                Some(name) => buffer.extend_from_slice(name),
                None => json(buffer, &place.to_string()),
            }
            buffer.push(b':');
            scores.write(place, buffer);
            nulls += u64::from(!scores.at(place).is_finite());
        }
        buffer.push(b'}');
        nulls
    }

    fn entry(&self, scores: Scores<'_>, place: usize, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(b"{\"class\":");
        match self.classes.get(place) {
            Some(name) => buffer.extend_from_slice(name),
            None => json(buffer, &place),
        }
        buffer.extend_from_slice(b",\"score\":");
        scores.write(place, buffer);
        buffer.push(b'}');
    }
}

/// The numbers of an output as the scores of its classes.
#[derive(Clone, Copy)]
pub(super) enum Scores<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    U8(&'a [u8]),
}

impl<'a> Scores<'a> {
    pub(super) fn of(values: Values<'a>) -> Option<Self> {
        match values {
            Values::F32(values) => Some(Self::F32(values)),
            Values::F64(values) => Some(Self::F64(values)),
            Values::I64(values) => Some(Self::I64(values)),
            Values::I32(values) => Some(Self::I32(values)),
            Values::U8(values) => Some(Self::U8(values)),
            Values::Bool(_) | Values::Text(_) => None,
        }
    }

    /// Whether a score is not below the threshold. NaN is not.
    pub(super) fn keeps(self, threshold: Option<f64>, place: usize) -> bool {
        !threshold.is_some_and(|least| self.at(place) < least)
    }

    /// The places of the scores from the highest on; of equal ones the first. NaN is none.
    pub(super) fn best(self, threshold: Option<f64>) -> Vec<usize> {
        let least = threshold.unwrap_or(f64::NEG_INFINITY);
        let mut places: Vec<usize> = (0..self.len())
            .filter(|place| self.at(*place) >= least)
            .collect();
        places.sort_by(|one, other| self.at(*other).total_cmp(&self.at(*one)));
        places
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "scores are compared so; what is written is the number itself"
    )]
    fn at(self, place: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[place]),
            Self::F64(values) => values[place],
            Self::I64(values) => values[place] as f64,
            Self::I32(values) => f64::from(values[place]),
            Self::U8(values) => f64::from(values[place]),
        }
    }

    fn write(self, place: usize, buffer: &mut Vec<u8>) {
        match self {
            Self::F32(values) => json(buffer, &values[place]),
            Self::F64(values) => json(buffer, &values[place]),
            Self::I64(values) => json(buffer, &values[place]),
            Self::I32(values) => json(buffer, &values[place]),
            Self::U8(values) => json(buffer, &values[place]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::{Echo, Encoder, OutputFormat};
    use super::*;

    #[test]
    fn classes_are_named_ranked_and_left_out_below_the_threshold() {
        let scores = Output {
            shape: &[4],
            values: Values::F32(&[0.25, 0.5, f32::NAN, 0.25]),
        };
        let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let cases = [
            (Form::Argmax, vec![], None, r#"{"class":1,"score":0.5}"#),
            (Form::Argmax, names.clone(), Some(0.6), "null"),
            (
                Form::TopK(3),
                names.clone(),
                None,
                r#"[{"class":"b","score":0.5},{"class":"a","score":0.25},{"class":"d","score":0.25}]"#,
            ),
            (
                Form::TopK(2),
                vec![],
                Some(0.3),
                r#"[{"class":1,"score":0.5}]"#,
            ),
            (
                Form::Raw,
                names.clone(),
                None,
                r#"{"a":0.25,"b":0.5,"c":null,"d":0.25}"#,
            ),
            (Form::Raw, names, Some(0.4), r#"{"b":0.5,"c":null}"#),
        ];
        for (form, classes, threshold, expected) in cases {
            let choice = Choice {
                form,
                classes,
                threshold,
                ..Choice::whole("p")
            };
            let encoder = Encoder::new(OutputFormat::Json, "m", 1, &[choice], None);
            let mut buffer = Vec::new();
            let input = Echo::Document(br#"{"x":1}"#);
            encoder.encode("in/1/42", Some(input), [scores], &mut buffer);
            let text = String::from_utf8(buffer).unwrap();
            let head =
                r#"{"model":"m","version":1,"source":"in/1/42","input":{"x":1},"outputs":{"p":"#;
            assert_eq!(text, format!("{head}{expected}}}}}"));
        }
    }
}
