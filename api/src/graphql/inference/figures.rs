//! What AWS counted of an inference's function.

use async_graphql::SimpleObject;

use crate::platform::{Error, Figures};

/// What `CloudWatch` counted of an inference on AWS Lambda lately, some minutes late. A figure is null where nothing was counted,
/// as while no records come.
#[derive(SimpleObject, Default)]
pub struct CloudWatchFigures {
    /// Over how many minutes until now.
    minutes: u32,
    /// Records that wait, when AWS last looked; `lag` says it exactly, by partition.
    lag: Option<f64>,
    /// How many of the function's processes worked at once at most.
    concurrency: Option<f64>,
    /// How many events they were given.
    invocations: Option<f64>,
    /// How many of these failed.
    errors: Option<f64>,
    /// How many had to wait because no more processes were to be had.
    throttles: Option<f64>,
    /// Why there are no figures: the action of AWS that the API may not, or what cannot be reached.
    refused: Option<String>,
}

impl From<Result<Figures, Error>> for CloudWatchFigures {
    fn from(counted: Result<Figures, Error>) -> Self {
        match counted {
            Ok(figures) => Self {
                minutes: figures.minutes,
                lag: figures.lag,
                concurrency: figures.concurrency,
                invocations: figures.invocations,
                errors: figures.errors,
                throttles: figures.throttles,
                refused: None,
            },
            Err(error) => Self {
                refused: Some(error.to_string()),
                ..Self::default()
            },
        }
    }
}
