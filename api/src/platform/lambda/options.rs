//! What an inference may ask of Lambda: its function and the mappings that bring its records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is asked of Lambda for one inference. What is left out is the installation's, or AWS's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LambdaOptions {
    /// The function's memory, and with it its share of processors.
    pub memory_mib: Option<u32>,
    /// How long one event may take.
    pub timeout_seconds: Option<u32>,
    /// Records of an event at most.
    pub batch_size: Option<u32>,
    /// How long an event's records are gathered. AWS counts in whole seconds; without, it takes half a second.
    pub window_seconds: Option<u32>,
    /// How many environments work at once at most, which are reserved for it.
    pub maximum_concurrency: Option<u32>,
    /// Pollers of its own, in place of those that Lambda shares out by itself.
    pub pollers: Option<Pollers>,
    /// How often a failed event is tried again before it is given up; without end where this is left out.
    pub retries: Option<u32>,
    /// How old records may be before they are given up.
    pub record_age_seconds: Option<u32>,
    /// Whether a failed event is cut in two, which finds the record at fault.
    pub bisect: bool,
    /// Where AWS tells of events that it gave up.
    pub on_failure: Option<String>,
    /// Records that match none of these patterns of AWS's are passed over; none is where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Value>,
}

/// Most patterns of a mapping, as AWS has it unless a quota is raised.
const MOST_FILTERS: usize = 5;
/// The longest pattern, in characters.
const LONGEST_FILTER: usize = 4096;

/// How many pollers a mapping has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pollers {
    /// At least.
    pub minimum: u32,
    /// At most.
    pub maximum: u32,
}

impl LambdaOptions {
    /// Whether AWS would take them.
    ///
    /// # Errors
    /// What it would not take, by the names that clients give.
    pub fn check(&self) -> Result<(), String> {
        for (name, value, range) in [
            ("memoryMib", self.memory_mib, 128..=10_240),
            // The longest that a mapping on Kafka allows.
            ("timeoutSeconds", self.timeout_seconds, 1..=840),
            ("batchSize", self.batch_size, 1..=10_000),
            ("windowSeconds", self.window_seconds, 0..=300),
            ("maximumConcurrency", self.maximum_concurrency, 1..=10_000),
            ("retries", self.retries, 0..=10_000),
            ("recordAgeSeconds", self.record_age_seconds, 60..=604_800),
            (
                "pollers.minimum",
                self.pollers.map(|it| it.minimum),
                1..=200,
            ),
            (
                "pollers.maximum",
                self.pollers.map(|it| it.maximum),
                1..=2000,
            ),
        ] {
            if value.is_some_and(|value| !range.contains(&value)) {
                return Err(format!(
                    "lambda.{name} is {} to {}",
                    range.start(),
                    range.end()
                ));
            }
        }
        if self.pollers.is_some_and(|it| it.minimum > it.maximum) {
            return Err("lambda.pollers has a minimum above its maximum".to_owned());
        }
        let gives_up = self.retries.is_some() || self.record_age_seconds.is_some() || self.bisect;
        if gives_up && self.pollers.is_none() {
            return Err(
                "lambda.retries, lambda.recordAgeSeconds and lambda.bisect take lambda.pollers: AWS knows them of pollers of its own only"
                    .to_owned(),
            );
        }
        if self.filters.len() > MOST_FILTERS {
            return Err(format!("lambda.filters are {MOST_FILTERS} at most"));
        }
        for filter in &self.filters {
            let is_of_value = filter.as_object().is_some_and(|filter| {
                filter.len() == 1 && filter.get("value").is_some_and(Value::is_object)
            });
            if !is_of_value || filter.to_string().chars().count() > LONGEST_FILTER {
                return Err(format!(
                    "lambda.filters are patterns of the value, as {{\"value\": {{\"amount\": [{{\"numeric\": [\">\", 100]}}]}}}}, of {LONGEST_FILTER} characters at most"
                ));
            }
        }
        match self.on_failure.as_deref() {
            Some(place) if !place.starts_with("arn:") && !place.starts_with("kafka://") => Err(
                "lambda.onFailure is the ARN of a queue, a topic or a bucket, or kafka://TOPIC"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_aws_would_not_take_is_named() {
        LambdaOptions::default().check().unwrap();
        let pollers = |minimum, maximum| LambdaOptions {
            pollers: Some(Pollers { minimum, maximum }),
            ..LambdaOptions::default()
        };
        pollers(2, 2).check().unwrap();
        assert!(pollers(3, 2).check().unwrap_err().contains("minimum"));
        assert!(pollers(0, 2).check().unwrap_err().contains("1 to 200"));
        let timeout = LambdaOptions {
            timeout_seconds: Some(841),
            ..LambdaOptions::default()
        };
        assert_eq!(
            timeout.check().unwrap_err(),
            "lambda.timeoutSeconds is 1 to 840"
        );
        let mut destination = LambdaOptions {
            on_failure: Some("kafka://given-up".to_owned()),
            ..LambdaOptions::default()
        };
        destination.check().unwrap();
        destination.on_failure = Some("given-up".to_owned());
        assert!(destination.check().is_err());
        let mut limited = LambdaOptions {
            retries: Some(3),
            ..LambdaOptions::default()
        };
        assert!(limited.check().unwrap_err().contains("take lambda.pollers"));
        limited.pollers = Some(Pollers {
            minimum: 1,
            maximum: 1,
        });
        limited.check().unwrap();
        let filtered = |filters: &[Value]| {
            let options = LambdaOptions {
                filters: filters.to_vec(),
                ..LambdaOptions::default()
            };
            options.check()
        };
        let of_value = json!({"value": {"amount": [{"numeric": [">", 100]}]}});
        filtered(std::slice::from_ref(&of_value)).unwrap();
        assert!(
            filtered(&vec![of_value; 6])
                .unwrap_err()
                .contains("5 at most")
        );
        for wrong in [json!({"amount": [1]}), json!([]), json!({"value": "high"})] {
            let refused = filtered(&[wrong]).unwrap_err();
            assert!(refused.contains("patterns of the value"), "{refused}");
        }
    }
}
