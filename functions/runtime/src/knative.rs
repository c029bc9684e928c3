//! The Knative trigger: requests of a `KafkaSource`, one record each, by HTTP.
//!
//! Invariant: a request is accepted only when Kafka has acknowledged its answer or its dead letter. One that is refused for
//! good is no record of the inference; whatever else is wrong passes, and the record comes again.
//!
//! Requests that come while a batch is answered form the next one: none waits for company.

mod event;
mod fault;
mod intake;

use std::time::{Duration, Instant};

use millrace_wire::function::{InferenceSpec, Requests};

use self::fault::Fault;
use self::intake::{Brought, Terms};
use crate::alone::{Alone, Work};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::push::{Push, Trouble};
use crate::start::Function;
use crate::status::Status;

pub(crate) use self::intake::Intake;

/// How long one look for requests takes: how late an end is noticed at most.
const WAIT: Duration = Duration::from_millis(100);
/// The pause before topics that are not well are looked at again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last events may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How many batches may wait in memory, with the one that is answered.
const BATCHES: u64 = 2;
/// Where Knative says at which port it expects the function.
const PORT: &str = "PORT";

/// The address to listen at: Knative's, where it says one.
pub(crate) fn address(listen: &str) -> String {
    std::env::var(PORT).map_or_else(|_| listen.to_owned(), |port| format!("0.0.0.0:{port}"))
}

/// Answers requests until the function shall end, and then those that wait.
///
/// # Errors
/// [`Failure::Specification`] where the inference cannot be triggered so, [`Failure::Failed`] where only a new start can
/// help.
pub fn run(
    function: &Function,
    requests: Requests,
    spec: &InferenceSpec,
    status: &Status,
    handler: &mut dyn Handler,
) -> Result<(), Failure> {
    let within = requests.within();
    let mut push = Push::new(function, spec, status)?;
    let (intake, shutdown) = (&function.intake, &function.shutdown);
    function.readiness.kafka("kafka", push.connection());
    while push.prepare(handler, Instant::now() + within).is_err() {
        if shutdown.wait(PAUSE) {
            break;
        }
    }
    let topics = [Some(&spec.input_topic), spec.redrive_topic.as_ref()];
    let topics = topics.into_iter().flatten().cloned().collect();
    let bytes = spec.batching.max_bytes.saturating_mul(BATCHES);
    intake.open(Terms::new(topics, within, bytes));
    tracing::info!("waiting for requests");
    let most = spec.batching.max_batch.max(1) as usize;
    let max_bytes = usize::try_from(spec.batching.max_bytes).unwrap_or(usize::MAX);
    let mut is_well = true;
    loop {
        let is_ending = shutdown.is_requested();
        if is_ending {
            function.readiness.unmet("end", "the function is ending");
            intake.close();
        }
        let wait = if is_well { WAIT } else { PAUSE };
        let batch = intake.take(most, max_bytes, wait);
        if !batch.is_empty() {
            answer(&mut push, handler, batch);
        } else if is_ending {
            break;
        } else {
            // What is wrong is told as its problem: a function without requests gets well by this look.
            is_well = push.prepare(handler, Instant::now() + within).is_ok();
        }
    }
    status.finish(LAST_WORDS);
    Ok(())
}

/// Does what records of a topic ask for, one at a time, until the function shall end. While it works on one, others are sent
/// away.
pub fn run_alone(function: &Function, requests: Requests, topic: &str, work: &mut Work<'_>) {
    let (intake, shutdown) = (&function.intake, &function.shutdown);
    // Where there is room for one byte, there is room for one request.
    intake.open(Terms::new(vec![topic.to_owned()], requests.within(), 1));
    function.readiness.met("requests");
    tracing::info!("waiting for requests");
    loop {
        let is_ending = shutdown.is_requested();
        if is_ending {
            function.readiness.unmet("end", "the function is ending");
            intake.close();
        }
        let batch = intake.take(1, usize::MAX, WAIT);
        if batch.is_empty() && is_ending {
            return;
        }
        for Brought { record, reply } in batch {
            let result = work(&Alone::new(&record, reply.until));
            reply.send(result.map_err(|undone| Fault::passing(undone.code, undone.message)));
        }
    }
}

/// Answers a batch, and each of its requests.
fn answer(push: &mut Push<'_>, handler: &mut dyn Handler, batch: Vec<Brought>) {
    let (records, replies): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|Brought { record, reply }| (record, reply))
        .unzip();
    // Whoever waits less long is told so by the server; the others need not suffer from that.
    let until = replies.iter().map(|reply| reply.until).max();
    let until = until.unwrap_or_else(Instant::now);
    let result = push.answer(&records, handler, until);
    if let Err(trouble) = &result {
        tracing::warn!(problem = trouble.code, "{}", trouble.message);
    }
    for (place, reply) in replies.into_iter().enumerate() {
        reply.send(match &result {
            Err(trouble) if trouble.concerns(place) => Err(fault(trouble)),
            _ => Ok(()),
        });
    }
}

fn fault(trouble: &Trouble) -> Fault {
    Fault::passing(trouble.code, trouble.message.clone())
}
