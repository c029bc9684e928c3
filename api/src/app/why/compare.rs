//! Two answers to one record: the one that was written, and the one that is given now.

use millrace_wire::samples::{Tolerance, Value as Element};
use millrace_wire::trial::Outcome;
use serde_json::Value;

/// What a record's answer is when it is asked for again.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// Whether it is the same.
    pub verdict: Verdict,
    /// How it compares, as a sentence.
    pub message: String,
    /// The value that an output would have now.
    pub value: Option<Vec<u8>>,
    /// What is wrong with the record now, where it would be a dead letter.
    pub refusal: Option<Refusal>,
    /// The largest difference of two numbers, where only numbers differ.
    pub largest_difference: Option<f64>,
}

/// Whether two answers are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Bit for bit; of dead letters, by the same error.
    Same,
    /// But for numbers that are close enough.
    Close,
    /// They are not.
    Different,
    /// The record could not be answered again.
    Impossible,
}

/// Why a record has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Again {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            verdict,
            message: message.into(),
            value: None,
            refusal: None,
            largest_difference: None,
        }
    }

    /// The record could not be answered again.
    pub(super) fn impossible(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Impossible, reason)
    }
}

/// What was written of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written<'a> {
    /// Its output.
    Output(&'a [u8]),
    /// Itself, for the next model of a chain.
    HandedOn,
    /// Its dead letter.
    Refused(&'a Refusal),
}

/// Compares what was written with what a trial showed.
pub(super) fn compare(written: Written<'_>, outcome: Outcome, tolerance: Tolerance) -> Again {
    let is_now = |now: &str| match written {
        Written::Output(_) => format!("it was answered and {now}"),
        Written::HandedOn => format!("it was handed on and {now}"),
        Written::Refused(refusal) => format!("it was refused by {} and {now}", refusal.code),
    };
    // What a topic takes is no matter of the version's.
    let too_large = matches!(written, Written::Refused(refusal) if refusal.code == "too-large");
    match (outcome, written) {
        (Outcome::Answered { .. } | Outcome::HandedOn, _) if too_large => Again::impossible(
            "it was answered or handed on, and that was larger than the topic took",
        ),
        (Outcome::Answered { value }, _) => {
            let Some(value) = value.bytes() else {
                return Again::impossible("the answer cannot be read: a fault of Millrace's own");
            };
            let compared = match written {
                Written::Output(written) => outputs(written, &value, tolerance),
                _ => Again::new(Verdict::Different, is_now("is answered now")),
            };
            Again {
                value: Some(value),
                ..compared
            }
        }
        (Outcome::HandedOn, Written::HandedOn) => {
            Again::new(Verdict::Same, "the version is not sure of it, as before")
        }
        (Outcome::HandedOn, _) => Again::new(Verdict::Different, is_now("is handed on now")),
        (Outcome::Refused { code, message }, _) => {
            let compared = match written {
                Written::Refused(refusal) if refusal.code == code => Again::new(
                    Verdict::Same,
                    format!("it cannot be answered, by the same error {code}"),
                ),
                Written::Refused(_) => {
                    Again::new(Verdict::Different, is_now(&format!("is by {code} now")))
                }
                Written::Output(_) | Written::HandedOn => Again::new(
                    Verdict::Different,
                    format!("it cannot be answered now: {message} ({code})"),
                ),
            };
            Again {
                refusal: Some(Refusal { code, message }),
                ..compared
            }
        }
        (Outcome::Failed { message }, _) => Again::impossible(message),
        (Outcome::Agrees { .. } | Outcome::Differs { .. }, _) => {
            Again::impossible("the trial was another one: a fault of Millrace's own")
        }
    }
}

fn outputs(written: &[u8], now: &[u8], tolerance: Tolerance) -> Again {
    if written == now {
        return Again::new(Verdict::Same, "it is the same, bit for bit");
    }
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    let (Some(written), Some(now)) = (parse(written), parse(now)) else {
        return Again::new(Verdict::Different, "its bytes are others");
    };
    let mut differences = Differences {
        tolerance,
        first: None,
        largest: 0.0,
    };
    differences.walk("", &written, &now);
    let largest = Element::Float(differences.largest);
    match differences.first {
        Some(message) => Again::new(Verdict::Different, message),
        None => Again {
            largest_difference: Some(differences.largest),
            ..Again::new(
                Verdict::Close,
                format!(
                    "its numbers differ by at most {largest}, within {} + {} × |number|",
                    tolerance.absolute, tolerance.relative
                ),
            )
        },
    }
}

struct Differences {
    tolerance: Tolerance,
    /// The first that is more than numbers that are close, as a sentence.
    first: Option<String>,
    /// The largest between two numbers.
    largest: f64,
}

impl Differences {
    fn walk(&mut self, path: &str, written: &Value, now: &Value) {
        match (written, now) {
            (Value::Array(written), Value::Array(now)) if written.len() == now.len() => {
                for (place, (written, now)) in written.iter().zip(now).enumerate() {
                    self.walk(&format!("{path}/{place}"), written, now);
                }
            }
            (Value::Object(written), Value::Object(now)) if written.keys().eq(now.keys()) => {
                for (name, written) in written {
                    self.walk(&format!("{path}/{name}"), written, &now[name]);
                }
            }
            _ if written == now => {}
            _ => {
                if let (Some(written), Some(now)) = (written.as_f64(), now.as_f64()) {
                    self.largest = self.largest.max((written - now).abs());
                    let (written, now) = (Element::Float(written), Element::Float(now));
                    if self.tolerance.accepts(&written, &now) {
                        return;
                    }
                }
                if self.first.is_none() {
                    let message = format!("at {path} it was {written} and is {now} now");
                    self.first = Some(message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = r#"{"version":1,"outputs":{"p":[0.25,0.75],"label":"a"}}"#;

    fn again(now: &str) -> Again {
        outputs(WRITTEN.as_bytes(), now.as_bytes(), Tolerance::default())
    }

    #[test]
    fn answers_are_the_same_or_close_or_others() {
        assert_eq!(again(WRITTEN).verdict, Verdict::Same);
        let close = again(&WRITTEN.replace("0.75", "0.75006103515625"));
        assert_eq!(close.verdict, Verdict::Close);
        assert_eq!(close.largest_difference, Some(0.000_061_035_156_25));
        assert!(
            close.message.contains("0.000061035156"),
            "{}",
            close.message
        );
        for (from, to, words) in [
            ("0.75", "0.5", "at /outputs/p/1 it was 0.75 and is 0.5 now"),
            ("0.75", "null", "/outputs/p/1"),
            ("\"a\"", "\"b\"", "/outputs/label"),
            ("[0.25,0.75]", "[0.25]", "/outputs/p it was"),
            ("\"label\"", "\"other\"", "at /outputs it was"),
            ("{\"version\"", "\"version\"", "its bytes are others"),
        ] {
            let found = again(&WRITTEN.replace(from, to));
            assert_eq!(found.verdict, Verdict::Different);
            assert!(found.message.contains(words), "{}", found.message);
        }
    }

    #[test]
    fn dead_letters_are_the_same_by_the_same_error() {
        let refusal = |code: &str| Refusal {
            code: code.to_owned(),
            message: "m".to_owned(),
        };
        let refused = |code: &str| Outcome::Refused {
            code: code.to_owned(),
            message: "m".to_owned(),
        };
        let answered = || Outcome::Answered {
            value: millrace_wire::trial::Bytes::new(b"{}"),
        };
        let verdict = |was: Option<&Refusal>, outcome| {
            let written = was.map_or(Written::Output(b"{}"), Written::Refused);
            compare(written, outcome, Tolerance::default()).verdict
        };
        assert_eq!(
            verdict(Some(&refusal("size")), refused("size")),
            Verdict::Same
        );
        assert_eq!(
            verdict(Some(&refusal("size")), refused("number")),
            Verdict::Different
        );
        assert_eq!(
            verdict(Some(&refusal("size")), answered()),
            Verdict::Different
        );
        assert_eq!(
            verdict(Some(&refusal("too-large")), answered()),
            Verdict::Impossible
        );
        assert_eq!(verdict(None, refused("size")), Verdict::Different);
        assert_eq!(verdict(None, answered()), Verdict::Same);
        let failed = Outcome::Failed {
            message: "m".to_owned(),
        };
        assert_eq!(verdict(None, failed), Verdict::Impossible);
    }

    #[test]
    fn a_record_is_handed_on_again_or_answered_now() {
        let answered = || Outcome::Answered {
            value: millrace_wire::trial::Bytes::new(b"{}"),
        };
        let again = |written, outcome| compare(written, outcome, Tolerance::default());
        let same = again(Written::HandedOn, Outcome::HandedOn);
        assert_eq!(same.verdict, Verdict::Same);
        let surer = again(Written::HandedOn, answered());
        assert_eq!(surer.verdict, Verdict::Different);
        assert_eq!(surer.message, "it was handed on and is answered now");
        assert!(surer.value.is_some());
        let less_sure = again(Written::Output(b"{}"), Outcome::HandedOn);
        assert_eq!(less_sure.message, "it was answered and is handed on now");
        let large = Refusal {
            code: "too-large".to_owned(),
            message: "m".to_owned(),
        };
        let narrow = again(Written::Refused(&large), Outcome::HandedOn);
        assert_eq!(narrow.verdict, Verdict::Impossible);
    }
}
