//! What an inference would be, and would cost, on AWS Lambda. Nothing is made.

use millrace_entity::inference::Model;

use crate::app::reconciler::{Settings, specs};
use crate::app::{App, Code, Error, Result};
use crate::platform::{self, Estimate, LambdaOptions, Load};

/// With these options, or those that the inference has.
///
/// # Errors
/// `INVALID_INPUT` for a load or options that cannot be, `PLATFORM_UNAVAILABLE` without the platform, `ILLEGAL_STATE` for what AWS
/// would not take.
pub async fn estimate(
    app: &App,
    row: &Model,
    options: Option<LambdaOptions>,
    load: &Load,
) -> Result<Estimate> {
    let is_possible = load.records_per_second.is_finite()
        && load.records_per_second >= 0.0
        && load.records_per_event != Some(0);
    if !is_possible {
        return Err(Error::new(
            Code::InvalidInput,
            "a load has zero records a second or more, and one record an event or more",
        ));
    }
    let Some(lambda) = &app.config.platform.lambda else {
        return Err(Error::new(
            Code::PlatformUnavailable,
            "the platform \"lambda\" is not configured: its section platform.lambda says what would be made, and where",
        ));
    };
    let options = match options {
        Some(options) => options,
        None => Settings::of(row)?.platform.lambda.unwrap_or_default(),
    };
    options
        .check()
        .map_err(|reason| Error::new(Code::InvalidInput, reason))?;
    let specs = specs(app, row).await?;
    let Some(spec) = specs.into_iter().next() else {
        return Err(Error::internal("an inference without replicas"));
    };
    platform::reckon(lambda, row.id, spec, &options, load).map_err(|reason| {
        Error::new(
            Code::IllegalState,
            format!("the platform \"lambda\" {reason}"),
        )
    })
}
