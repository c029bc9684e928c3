//! Watches over the runs of the model, which may never return.
//!
//! A run that blocks inside ONNX Runtime cannot be taken back, so the process ends, and its
//! supervisor starts another. For the culprit not to stop that one too, it is noted beside the
//! committed offsets before the end: first that the records of the batch are answered one by one,
//! and then, where a record was alone in its batch, that it is not given to the model again.
//!
//! Invariant: a run that returns in its time is left alone. Time in which the process itself stood
//! still (a suspended machine, SIGSTOP) does not count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use millrace_kafka::{Connection, Error, GroupConsumer, GroupOffset, TransactionalProducer};
use millrace_wire::function::{Guarantee, InferenceSpec};

use super::note::Note;
use super::output::{STEP_TIMEOUT, transaction_timeout};
use crate::failure::Failure;
use crate::parent;
use crate::status::Status;

/// How many looks a deadline has. Looks and not a clock count how long a run lasts.
const LOOKS: u32 = 8;
/// The pause before what could not be noted is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the last report may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

const OVERDUE: &str = "run-overdue";

/// The deadline of each run.
pub(super) struct Deadline {
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    run: Option<Run>,
    /// The member that reads, whose word counts for the offsets.
    consumer: Option<Arc<GroupConsumer>>,
}

/// A run under way.
struct Run {
    suspects: Vec<Suspects>,
    records: usize,
    looks: u32,
}

/// The records of one partition in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suspects {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Its first record, and what follows its last one.
    pub(super) first: i64,
    pub(super) end: i64,
    /// The committed offset, and what is noted beside it.
    pub(super) committed: i64,
    pub(super) note: Note,
}

impl Suspects {
    fn blamed(&self, records: usize) -> GroupOffset {
        let note = self.note.blame(self.first, self.end, records);
        GroupOffset::new(&self.topic, self.partition, self.committed)
            .with_metadata(note.to_string())
    }
}

impl Deadline {
    /// Starts to watch, until the returned value is gone.
    pub(super) fn start(
        connection: &Connection,
        spec: &InferenceSpec,
        status: &Status,
    ) -> Result<Self, Failure> {
        let shared = Arc::<Mutex<State>>::default();
        let limit = Duration::from_millis(u64::from(spec.batching.run_deadline_ms));
        let watcher = Watcher {
            shared: Arc::downgrade(&shared),
            limit,
            connection: connection.clone(),
            transactional_id: match spec.guarantee {
                Guarantee::ExactlyOnce => Some(spec.transactional_id.clone()),
                Guarantee::AtLeastOnce => None,
            },
            transaction_timeout: transaction_timeout(&spec.batching),
            status: status.clone(),
        };
        thread::Builder::new()
            .name("deadline".to_owned())
            .spawn(move || watcher.watch())
            .map_err(|error| Failure::failed(format!("cannot watch over runs: {error}")))?;
        Ok(Self { shared })
    }

    /// The member that reads from now on; none before it is given up.
    pub(super) fn reads(&self, consumer: Option<Arc<GroupConsumer>>) {
        lock(&self.shared).consumer = consumer;
    }

    /// Runs the model on a batch, and watches over it.
    pub(super) fn over<T>(
        &self,
        suspects: Vec<Suspects>,
        records: usize,
        run: impl FnOnce() -> T,
    ) -> T {
        lock(&self.shared).run = Some(Run {
            suspects,
            records,
            looks: 0,
        });
        let result = run();
        // Whoever has found the run overdue holds the lock until the process ends.
        lock(&self.shared).run = None;
        result
    }
}

struct Watcher {
    shared: Weak<Mutex<State>>,
    limit: Duration,
    connection: Connection,
    /// Of a replica that writes in transactions.
    transactional_id: Option<String>,
    transaction_timeout: Duration,
    status: Status,
}

impl Watcher {
    fn watch(&self) {
        loop {
            thread::sleep((self.limit / LOOKS).max(Duration::from_millis(1)));
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let mut state = lock(&shared);
            let Some(run) = &mut state.run else {
                continue;
            };
            run.looks += 1;
            // The first look may have come at once.
            if run.looks > LOOKS {
                self.end(&state);
            }
        }
    }

    /// Notes whom to suspect, and ends the process.
    fn end(&self, state: &State) -> ! {
        let (Some(run), Some(consumer)) = (&state.run, &state.consumer) else {
            parent::end_at_once();
        };
        let limit = self.limit.as_millis();
        let what = match run.suspects.as_slice() {
            [one] if run.records == 1 => format!(
                "the record {}/{}/{}, which goes to the dead letters",
                one.topic, one.partition, one.first
            ),
            _ => format!(
                "a batch of {} records, which are answered one by one to find the culprit",
                run.records
            ),
        };
        self.status.degraded(
            OVERDUE,
            format!("the model has not answered within {limit} ms: {what}; this process ends, and another takes its place"),
        );
        let offsets: Vec<GroupOffset> = run
            .suspects
            .iter()
            .map(|suspects| suspects.blamed(run.records))
            .collect();
        while let Err(error) = self.note(consumer, &offsets) {
            tracing::warn!(%error, "cannot note which records have stopped the model, trying again");
            if error.is_fenced() {
                break;
            }
            thread::sleep(RETRY_PAUSE);
        }
        self.status.finish(LAST_WORDS);
        parent::end_at_once();
    }

    /// Writes the notes beside the offsets that are committed already.
    fn note(&self, consumer: &GroupConsumer, offsets: &[GroupOffset]) -> Result<(), Error> {
        let Some(id) = &self.transactional_id else {
            return consumer.commit(offsets);
        };
        // A producer of its own: the one of the thread that is stuck cannot be reached. It fences
        // that one, and aborts what it has open.
        let producer = TransactionalProducer::new(&self.connection, id, self.transaction_timeout)?;
        producer.init(STEP_TIMEOUT)?;
        producer.begin()?;
        producer.send_offsets(&consumer.group_metadata()?, offsets, STEP_TIMEOUT)?;
        producer.commit(STEP_TIMEOUT)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
