//! The push trigger: batches of records are brought from outside, and each is answered before whoever
//! brought it hears that it was.
//!
//! Invariant: a batch counts as answered only when Kafka has acknowledged every record that answers
//! it. Whatever was not acknowledged is told, and comes again: at least one answer a record, and
//! repeats carry the same source.

mod sending;

use std::time::{Duration, Instant};

use millrace_kafka::{Connection, Delivery, Error};
use millrace_wire::function::{Guarantee, InferenceSpec, Trigger};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use self::sending::{Sending, late};
use crate::answer::{Answering, Incoming, Topics, producing};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::reachable::UNREACHABLE;
use crate::start::Function;
use crate::status::{Became, Done, Status};

/// How often the topics are looked at, while batches come.
const LOOK: Duration = Duration::from_secs(10);
/// How long a first sign of life of the cluster is waited for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// The batch waits for each of its answers anyway: none lingers. And what cannot be written is given up after a while,
/// since the batch comes again.
const WHOLE: [(&str, &str); 2] = [("linger.ms", "0"), ("message.timeout.ms", "30000")];

/// A process may be frozen for a while, in which networks forget its connections without a word: an old one is not used.
const KEPT: [(&str, &str); 2] = [
    ("connections.max.idle.ms", "60000"),
    ("socket.keepalive.enable", "true"),
];

const NOT_WRITTEN: &str = "not-written";

/// The work on batches that are brought.
pub(crate) struct Push<'s> {
    spec: &'s InferenceSpec,
    connection: Connection,
    status: Status,
    runtime: Handle,
    topics: Topics,
    /// None until the topics were seen: what they take at once limits what it sends.
    sending: Option<Sending>,
    answering: Answering,
    /// Whether records that were not answered come again without those of their batch that were.
    are_apart: bool,
    /// When the topics were looked at last, and all was well.
    looked: Option<Instant>,
    /// What the last batch was not answered for.
    trouble: Option<&'static str>,
}

/// Why a batch, or a part of it, was not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// A short stable code.
    pub(crate) code: &'static str,
    /// What is wrong, and what to do, as a sentence.
    pub(crate) message: String,
    /// The places in the batch of the records that were not answered, where the others were.
    pub(crate) unwritten: Vec<usize>,
}

impl Trouble {
    fn whole(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            unwritten: Vec::new(),
        }
    }

    /// Whether the record at this place in the batch was not answered.
    pub(crate) fn concerns(&self, place: usize) -> bool {
        self.unwritten.is_empty() || self.unwritten.contains(&place)
    }
}

impl<'s> Push<'s> {
    /// Begins; the cluster is not contacted before the first batch, whose answer can say what is wrong with it.
    pub(crate) fn new(
        function: &Function,
        spec: &'s InferenceSpec,
        status: &Status,
    ) -> Result<Self, Failure> {
        possible(spec)?;
        let mut connection = Connection::new(&spec.connection);
        for (name, value) in KEPT {
            if !spec.connection.contains_key(name) {
                connection = connection.with(name, value);
            }
        }
        Ok(Self {
            topics: Topics::of(&connection, spec, status)?,
            spec,
            connection,
            status: status.clone(),
            runtime: function.runtime.clone(),
            sending: None,
            answering: Answering::default(),
            are_apart: match function.spec.trigger {
                Trigger::Lambda(invocations) => invocations.partial,
                Trigger::Knative(_) => true,
                Trigger::Poll => false,
            },
            looked: None,
            trouble: None,
        })
    }

    /// Whether the inference reads this topic.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        topic == self.spec.input_topic || Some(topic) == self.spec.redrive_topic.as_deref()
    }

    /// Answers a batch, of any partitions, at the latest at this moment.
    pub(crate) fn answer<R: Incoming>(
        &mut self,
        batch: &[R],
        handler: &mut dyn Handler,
        until: Instant,
    ) -> Result<(), Trouble> {
        let result = self.try_to_answer(batch, handler, until);
        self.tell(result.as_ref().err());
        result
    }

    /// Does what can be done before there is a batch: sees that the topics are well, and which version answers.
    pub(crate) fn prepare(
        &mut self,
        handler: &mut dyn Handler,
        until: Instant,
    ) -> Result<(), Trouble> {
        let version = handler.refresh().version;
        let result = self.look(until);
        if result.is_ok() {
            self.status.answers_with(version);
        }
        self.tell(result.as_ref().err());
        result
    }

    /// What it writes through.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Tells the status what keeps records from their answers now, and what does no more.
    fn tell(&mut self, trouble: Option<&Trouble>) {
        let code = trouble.map(|trouble| trouble.code);
        if let Some(over) = self.trouble.filter(|known| Some(*known) != code) {
            self.status.recovered(over);
        }
        if let Some(Trouble { code, message, .. }) = trouble {
            self.status.degraded(code, message.clone());
        }
        self.trouble = code;
        self.status.report(Vec::new);
    }

    fn try_to_answer<R: Incoming>(
        &mut self,
        batch: &[R],
        handler: &mut dyn Handler,
        until: Instant,
    ) -> Result<(), Trouble> {
        self.status.answers_with(handler.refresh().version);
        self.look(until)?;
        let sending = self.sending.as_mut().expect("made by the look");
        let most = self.spec.batching.max_batch.max(1) as usize;
        let mut sent = Vec::with_capacity(batch.len());
        for part in batch.chunks(most) {
            let first = sent.len();
            let asked = self.answering.ask(part, self.spec, |inputs, answers| {
                handler.handle(inputs, answers)
            });
            if let Err(stall) = asked {
                if !sent.is_empty() {
                    self.take_back();
                }
                let message = format!("{}; the records come again, none is dropped", stall.message);
                return Err(Trouble::whole(stall.code, message));
            }
            let Ok(()) =
                self.answering
                    .send(part, self.spec, &self.topics, |place, out, became| {
                        let delivery = sending.send(out, &self.runtime, until);
                        sent.push((first + place, became, delivery));
                        Ok::<_, std::convert::Infallible>(())
                    });
            self.status.answered(part.len(), self.answering.stages());
        }
        let started = Instant::now();
        let (done, failed) = self.runtime.block_on(acknowledged(sent, until));
        if failed.is_empty() || self.are_apart {
            self.status.committed(done, started.elapsed());
        }
        let Some((_, error)) = failed.first() else {
            return Ok(());
        };
        self.take_back();
        let message = format!(
            "{} of {} answers were not acknowledged, first of all: {error}; their records come again, none is dropped",
            failed.len(),
            batch.len()
        );
        Err(Trouble {
            code: NOT_WRITTEN,
            message,
            unwritten: failed.into_iter().map(|(place, _)| place).collect(),
        })
    }

    /// Gives up what is not acknowledged yet: its records come again, perhaps to another process, and what this one still held
    /// would come behind newer answers.
    fn take_back(&mut self) {
        // What a topic takes, or whether it may be written to, may have changed: that is told at the next batch.
        self.looked = None;
        if let Some(sending) = self.sending.take() {
            sending.give_up();
        }
    }

    /// Looks at the topics, unless that was done a moment ago.
    fn look(&mut self, until: Instant) -> Result<(), Trouble> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        let left = until.saturating_duration_since(Instant::now());
        if let Err(error) = self.topics.admin.probe(left.min(SIGN_OF_LIFE)) {
            let message = format!(
                "{error}; on AWS, see that the function's subnets and security groups reach the brokers. The records come again, none is dropped"
            );
            return Err(Trouble::whole(UNREACHABLE, message));
        }
        if !self.topics.look() {
            let (code, message) = self.topics.problem().unwrap_or_else(|| {
                let message = "the cluster does not tell about the topics at the moment";
                ("topics-unknown", message.to_owned())
            });
            return Err(Trouble::whole(code, message));
        }
        let before = self.topics.smallest_limit();
        self.topics.look_at_limits();
        let limit = self.topics.smallest_limit();
        if self.sending.is_none() || limit != before {
            let connection = producing(&self.connection, self.spec, limit, &WHOLE)
                .with("delivery.report.only.error", "false");
            let made = Sending::new(&connection, &self.topics.targets.output.topic);
            self.sending =
                Some(made.map_err(|error| Trouble::whole(NOT_WRITTEN, error.to_string()))?);
        }
        self.looked = Some(Instant::now());
        Ok(())
    }
}

/// Refuses what no push trigger can promise.
fn possible(spec: &InferenceSpec) -> Result<(), Failure> {
    let reason = if spec.guarantee == Guarantee::ExactlyOnce {
        "it promises exactly once, and records that are brought can be answered at least once only: ask for AT_LEAST_ONCE, or run it where it polls"
    } else if spec.span.is_some() {
        "it answers a part of its input once more, which only an inference that polls can do: nobody brings records of a span alone"
    } else {
        return Ok(());
    };
    Err(Failure::Specification(format!(
        "the inference {} cannot be triggered from outside: {reason}",
        spec.name
    )))
}

/// Waits for the acknowledgements, and returns what was done by them, and the places of the records whose answers have none.
async fn acknowledged(
    sent: Vec<(usize, Became, Result<Delivery, Error>)>,
    until: Instant,
) -> (Done, Vec<(usize, Error)>) {
    let mut done = Done::default();
    let mut failed = Vec::new();
    for (place, became, delivery) in sent {
        let result = match delivery {
            Ok(delivery) => timeout_at(until.into(), delivery)
                .await
                .unwrap_or_else(|_| Err(late())),
            Err(error) => Err(error),
        };
        match result {
            Ok(_) => done.add(became),
            Err(error) => failed.push((place, error)),
        }
    }
    (done, failed)
}
