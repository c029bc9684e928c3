//! What only some platforms have to be told of an inference.

use async_graphql::InputObject;

use crate::platform::{LambdaOptions, Pollers};

/// What is asked of AWS Lambda. What is left out is as the installation, or AWS, has it.
#[derive(InputObject)]
pub struct LambdaInput {
    /// The function's memory, 128 to 10240; 1,769 MiB have one processor.
    memory_mib: Option<u32>,
    /// How long one event may take, 1 to 840; 120 without.
    timeout_seconds: Option<u32>,
    /// Records of an event at most, 1 to 10000; as many as one run of the model takes without.
    batch_size: Option<u32>,
    /// How long the records of an event are gathered, 0 to 300; half a second without.
    window_seconds: Option<u32>,
    /// How many of the function's processes work at once at most. So many are reserved for it out of the account's.
    maximum_concurrency: Option<u32>,
    /// Pollers of its own, which AWS charges for. With them a failed event costs the records that were not answered, and
    /// not the event.
    pollers: Option<LambdaPollersInput>,
    /// Where AWS tells of events that it has given up: the ARN of a queue, a topic or a bucket, or `kafka://TOPIC`. The
    /// functions' role must be let write there.
    on_failure: Option<String>,
}

/// How many pollers bring records. One brings 5 MB a second at most.
#[derive(InputObject)]
pub struct LambdaPollersInput {
    /// At least, 1 to 200.
    minimum: u32,
    /// At most, 1 to 2000.
    maximum: u32,
}

impl From<LambdaInput> for LambdaOptions {
    fn from(input: LambdaInput) -> Self {
        Self {
            memory_mib: input.memory_mib,
            timeout_seconds: input.timeout_seconds,
            batch_size: input.batch_size,
            window_seconds: input.window_seconds,
            maximum_concurrency: input.maximum_concurrency,
            pollers: input.pollers.map(|pollers| Pollers {
                minimum: pollers.minimum,
                maximum: pollers.maximum,
            }),
            on_failure: input.on_failure,
        }
    }
}
