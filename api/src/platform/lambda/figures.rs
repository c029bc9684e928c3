//! What `CloudWatch` counted of an inference's function lately.
//!
//! Invariant: it is asked only where somebody looks, and of one inference once a minute at most, since AWS charges for each figure
//! and counts in minutes itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use millrace_aws::{Error, Service};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Figures;
use super::trouble::{Trouble, forbidden};

/// How long an answer is good for.
pub(super) const FRESH: Duration = Duration::from_mins(1);
/// How far back it is looked: figures come some minutes late.
pub(super) const MINUTES: u32 = 15;
const LIMIT: Duration = Duration::from_secs(10);
/// By `CloudWatch`'s names: how each is put together in a minute.
const METRICS: [(&str, &str); 5] = [
    ("OffsetLag", "Maximum"),
    ("ConcurrentExecutions", "Maximum"),
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    metric_data_results: Vec<Series>,
}

/// A figure of each minute that has one, the last minute first.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    id: String,
    #[serde(default)]
    values: Vec<f64>,
}

/// `CloudWatch` in a region.
pub(super) fn service(region: &str) -> Result<Service, Trouble> {
    let service = Service::new("monitoring", "GraniteServiceVersion20100801", region, LIMIT);
    Ok(service.map_err(|error| trouble(&error))?.speaking_1_0())
}

/// What was counted of a function until now.
pub(super) async fn look(
    service: &Service,
    function: &str,
    now: DateTime<Utc>,
) -> Result<Figures, Trouble> {
    let answer: Answer = service
        .ask("GetMetricData", &question(function, now))
        .await
        .map_err(|error| trouble(&error))?;
    Ok(figures(&answer))
}

fn question(function: &str, now: DateTime<Utc>) -> Value {
    let queries = METRICS.map(|(metric, way)| {
        json!({
            "Id": metric.to_lowercase(),
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": function}],
                },
                "Period": 60,
                "Stat": way,
            },
        })
    });
    let since = now - TimeDelta::minutes(MINUTES.into());
    json!({
        "StartTime": since.timestamp(),
        "EndTime": now.timestamp(),
        "ScanBy": "TimestampDescending",
        "MetricDataQueries": queries,
    })
}

fn figures(answer: &Answer) -> Figures {
    let values = |metric: &str| {
        let mut all = answer.metric_data_results.iter();
        let found = all.find(|series| series.id == metric.to_lowercase());
        found.map_or(&[][..], |series| &series.values)
    };
    let sum = |metric| {
        let values = values(metric);
        (!values.is_empty()).then(|| values.iter().sum())
    };
    Figures {
        minutes: MINUTES,
        lag: values("OffsetLag").first().copied(),
        concurrency: values("ConcurrentExecutions")
            .iter()
            .copied()
            .reduce(f64::max),
        invocations: sum("Invocations"),
        errors: sum("Errors"),
        throttles: sum("Throttles"),
    }
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Refused { message, .. } if error.is_forbidden() => {
            Trouble::Refused(forbidden("cloudwatch:GetMetricData", "*", message))
        }
        Error::Refused { .. } => Trouble::Refused(format!("shows no figures: {error}")),
        Error::Unavailable(words) => Trouble::Refused(format!(
            "shows no figures: {words}; in a network without a way to the internet it takes the endpoint monitoring"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn minutes_are_put_together_as_each_figure_is_meant() {
        let answer = json!({"MetricDataResults": [
            {"Id": "offsetlag", "Values": [7.0, 900.0]},
            {"Id": "concurrentexecutions", "Values": [1.0, 3.0, 2.0]},
            {"Id": "errors", "Values": [2.0, 5.0]},
            {"Id": "throttles", "Values": []},
        ]});
        let found = figures(&serde_json::from_value(answer).unwrap());
        let expected = Figures {
            minutes: 15,
            lag: Some(7.0),
            concurrency: Some(3.0),
            invocations: None,
            errors: Some(7.0),
            throttles: None,
        };
        assert_eq!(found, expected);
    }
}
