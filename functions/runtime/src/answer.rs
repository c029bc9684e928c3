//! From a batch of records to the records that answer it: what every trigger does alike.
//!
//! Invariant: every record of a batch gets exactly one record out, in the batch's order: its output,
//! itself for the next model, or its dead letter.

mod incoming;
mod letter;
mod producing;
mod target;
mod topics;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use millrace_kafka::OutRecord;
use millrace_wire::function::InferenceSpec;
use millrace_wire::progress::Stage;
use millrace_wire::record::Parts;

pub(crate) use self::incoming::Incoming;
pub(crate) use self::producing::{BATCH_BYTES, producing};
pub(crate) use self::target::Targets;
pub(crate) use self::topics::Topics;

use self::incoming::RecordHeaders;
use self::letter::{Letters, Sources, timestamp_ms};
use crate::handler::{Answer, Answers, Input, Refusal, Stall};
use crate::status::Became;

/// Answers the batches of one inference. Its buffers are used again for each.
#[derive(Default)]
pub(crate) struct Answering {
    sources: Sources,
    answers: Answers,
}

impl Answering {
    /// Has the handler answer a batch. `ask` hands it the inputs, one a record.
    pub(crate) fn ask<R: Incoming>(
        &mut self,
        batch: &[R],
        spec: &InferenceSpec,
        ask: impl FnOnce(&[Input<'_>], &mut Answers) -> Result<(), Stall>,
    ) -> Result<(), Stall> {
        let redrive_topic = spec.redrive_topic.as_deref();
        self.sources.write(batch, redrive_topic);
        let headers: Vec<RecordHeaders<'_, R>> = batch.iter().map(RecordHeaders).collect();
        let inputs: Vec<Input<'_>> = batch
            .iter()
            .zip(self.sources.iter())
            .zip(&headers)
            .map(|((record, source), headers)| Input {
                source,
                parts: Parts {
                    key: record.key(),
                    value: record.value(),
                    timestamp_ms: timestamp_ms(record, redrive_topic),
                    headers,
                },
            })
            .collect();
        self.answers.clear();
        ask(&inputs, &mut self.answers)?;
        assert_eq!(
            self.answers.len(),
            batch.len(),
            "a handler answers every record of its batch"
        );
        Ok(())
    }

    /// Makes the records that answer the batch that was asked about last. `send` takes each with the place in the batch of the
    /// record that it answers, and what that becomes by it.
    pub(crate) fn send<R: Incoming, E>(
        &mut self,
        batch: &[R],
        spec: &InferenceSpec,
        topics: &Topics,
        mut send: impl FnMut(usize, &OutRecord<'_>, Became) -> Result<(), E>,
    ) -> Result<(), E> {
        let sending = Instant::now();
        let targets = &topics.targets;
        let letters = Letters {
            targets,
            redrive_topic: spec.redrive_topic.as_deref(),
            headers: &self.answers.headers,
            is_replay: spec.span.is_some(),
        };
        let answered = batch.iter().zip(self.sources.iter());
        for (place, ((record, source), answer)) in answered.zip(self.answers.iter()).enumerate() {
            let refusal = match answer {
                Answer::Refused(refusal) => Cow::Borrowed(refusal),
                Answer::Output(_) | Answer::HandOn => {
                    let origin = letters.partition(record, source);
                    let partition = |target| topics.partition(target, origin, record.key());
                    let (target, out, became) = if let Answer::Output(value) = answer {
                        let target = &targets.output;
                        let out = letters.output(record, partition(target), source, value);
                        (target, out, Became::Predicted)
                    } else {
                        let target = targets
                            .hand_on
                            .as_ref()
                            .expect("a handler hands on where its inference says where to");
                        let topic = &target.topic;
                        let out = letters.handed_on(record, topic, partition(target), source);
                        (target, out, Became::HandedOn)
                    };
                    match target.too_large(&out) {
                        None => {
                            send(place, &out, became)?;
                            continue;
                        }
                        Some(message) => Cow::Owned(Refusal {
                            code: "too-large",
                            message,
                        }),
                    }
                }
            };
            tracing::debug!(
                record.source = source,
                code = refusal.code,
                "{}",
                refusal.message
            );
            let letter = letters.dead(record, source, &refusal);
            send(place, &letter, Became::Refused(refusal.code))?;
        }
        self.answers.took(Stage::Send, sending.elapsed());
        Ok(())
    }

    /// How long the stages of the last batch took.
    pub(crate) fn stages(&self) -> &[(Stage, Duration)] {
        self.answers.stages()
    }
}
