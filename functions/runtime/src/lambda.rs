//! The Lambda trigger: invocations of an event source mapping on Kafka, by the Runtime API.
//!
//! Invariant: an invocation succeeds only when every answer was acknowledged, or is named as one that
//! was not. A start that fails is told as such, with its reason, before the process ends.

mod environment;
mod event;

use std::future::ready;
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use millrace_wire::function::{InferenceSpec, Invocations};
use serde::Serialize;
use tokio::task::{block_in_place, spawn_blocking};

use self::event::{Event, Received};
use crate::alone::{Alone, Work};
use crate::answer::Incoming as _;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::push::{Push, Trouble};
use crate::shutdown::Shutdown;
use crate::start::Function;
use crate::status::Status;

pub(crate) use self::environment::Environment;

/// What is left of an invocation's time for its answer's way.
const MARGIN: Duration = Duration::from_millis(500);
/// How long what is to be reported may hold up an answer.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a wait for the end lasts before it begins anew.
const WAIT: Duration = Duration::from_hours(1);

/// What an invocation answers: the records that are to come again, where the mapping asks for them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: ItemIdentifier,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ItemIdentifier {
    partition: String,
    offset: i64,
}

/// Answers invocations until the function shall end.
///
/// # Errors
/// [`Failure::Specification`] where the inference cannot be triggered so, [`Failure::Failed`] where the Runtime API
/// cannot be reached any more.
pub fn run(
    function: &Function,
    spec: &InferenceSpec,
    invocations: Invocations,
    status: &Status,
    handler: &mut dyn Handler,
) -> Result<(), Failure> {
    let mut push = Push::new(function, spec, status)?;
    let mut answer = |event: LambdaEvent<Event>| {
        let (event, context) = event.into_parts();
        if let Some(fault) = event.fault(|topic| push.reads(topic)) {
            return Err(unexpected(fault));
        }
        let until = moment(context.deadline());
        let result = push.answer(&event.records, handler, until);
        // The process may be frozen as soon as the batch is answered: what is said later is said much later.
        let left = until.saturating_duration_since(Instant::now());
        if !status.flush(left.min(LAST_WORDS)) {
            tracing::warn!("what this batch gave to report was not acknowledged yet");
        }
        match result {
            Ok(()) => Ok(Answer::default()),
            Err(trouble) => {
                tracing::warn!(
                    invocation.id = context.request_id,
                    problem = trouble.code,
                    "{}",
                    trouble.message
                );
                failed(trouble, &event.records, invocations)
            }
        }
    };
    serve(function, &mut answer)
}

/// Does what records of a topic ask for, one an invocation, until the function shall end.
///
/// # Errors
/// [`Failure::Failed`] where the Runtime API cannot be reached any more.
pub fn run_alone(function: &Function, topic: &str, work: &mut Work<'_>) -> Result<(), Failure> {
    let mut answer = |event: LambdaEvent<Event>| {
        let (event, context) = event.into_parts();
        if let Some(fault) = event.fault(|name| name == topic) {
            return Err(unexpected(fault));
        }
        let [record] = event.records.as_slice() else {
            return Err(unexpected(format!(
                "the event holds {} records, and the work on one takes minutes: set the event source mapping's BatchSize to 1",
                event.records.len()
            )));
        };
        let until = moment(context.deadline());
        work(&Alone::new(record, until))
            .map(|()| Answer::default())
            .map_err(|undone| diagnostic(undone.code, undone.message))
    };
    serve(function, &mut answer)
}

/// Answers invocations until the function shall end.
fn serve(
    function: &Function,
    answer: &mut dyn FnMut(LambdaEvent<Event>) -> Result<Answer, Diagnostic>,
) -> Result<(), Failure> {
    // Answering blocks, and its parts wait for asynchronous ones: not a worker's, but this thread's own time is taken.
    let service = service_fn(|event| ready(block_in_place(|| answer(event))));
    let end = ended(&function.shutdown);
    function.runtime.block_on(async {
        function.environment.begun();
        tracing::info!("waiting for invocations");
        tokio::select! {
            result = Runtime::new(service).run() => result.map_err(|error| {
                Failure::failed(format!("the Runtime API of Lambda cannot be reached any more: {error}"))
            }),
            () = end => Ok(()),
        }
    })
}

/// The moment at which an answer has to be ready.
fn moment(deadline: SystemTime) -> Instant {
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Instant::now() + left.saturating_sub(MARGIN)
}

/// The answer of an invocation that did not succeed: the records that are to come again, where it is known that these
/// are looked at, else a failure of the whole.
fn failed(
    trouble: Trouble,
    records: &[Received],
    invocations: Invocations,
) -> Result<Answer, Diagnostic> {
    if !invocations.partial || trouble.unwritten.is_empty() {
        return Err(diagnostic(trouble.code, trouble.message));
    }
    let failures = trouble.unwritten.iter().map(|place| {
        let record = &records[*place];
        let item_identifier = ItemIdentifier {
            partition: record.identifier(),
            offset: record.offset(),
        };
        ItemFailure { item_identifier }
    });
    Ok(Answer {
        batch_item_failures: failures.collect(),
    })
}

fn unexpected(fault: String) -> Diagnostic {
    tracing::error!("{fault}");
    diagnostic("unexpected-event", fault)
}

fn diagnostic(code: &str, message: String) -> Diagnostic {
    Diagnostic {
        error_type: environment::error_type(code),
        error_message: message,
    }
}

/// Returns when the function shall end.
async fn ended(shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    // A wait that fails has panicked, which ends the process.
    let _ = spawn_blocking(move || while !shutdown.wait(WAIT) {}).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn trouble() -> Trouble {
        Trouble {
            code: "not-written",
            message: "two of three".to_owned(),
            unwritten: vec![0, 2],
        }
    }

    #[test]
    fn failed_records_are_named_only_where_the_mapping_asks_for_them() {
        let record = |partition, offset| {
            let text = format!(r#"{{"topic":"a.b-c","partition":{partition},"offset":{offset}}}"#);
            serde_json::from_str::<Received>(&text).unwrap()
        };
        let records = [record(0, 5), record(0, 6), record(11, 5)];
        let asked = Invocations { partial: true };
        let answer = failed(trouble(), &records, asked).unwrap();
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.b-c-0","offset":5}},{"itemIdentifier":{"partition":"a.b-c-11","offset":5}}]}"#
        );
        let whole = failed(trouble(), &records, Invocations::default()).unwrap_err();
        assert_eq!(whole.error_type, "Millrace.not-written");
        assert_eq!(whole.error_message, "two of three");
        let all = Trouble {
            unwritten: Vec::new(),
            ..trouble()
        };
        assert!(failed(all, &records, asked).is_err());
    }
}
