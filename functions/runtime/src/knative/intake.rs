//! Where requests wait for their answers: the bridge between the HTTP server and the thread that answers.
//!
//! Invariant: a request is accepted only once its record was answered. What waits takes bounded memory, and whoever does not
//! wait any more takes none.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout_at;

use super::event::Received;
use super::fault::Fault;
use crate::answer::Incoming as _;

/// The most bytes of a request's body: a record of 64 MiB in base64, with its attributes.
const LARGEST: usize = 96 << 20;
/// What a request takes beside its body.
const OVERHEAD: usize = 4 << 10;

/// The requests that wait; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Intake {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    came: Condvar,
}

#[derive(Default)]
struct Line {
    door: Door,
    waiting: VecDeque<Brought>,
}

#[derive(Default)]
enum Door {
    #[default]
    NotYet,
    Open(Arc<Terms>),
    NoMore,
}

impl Door {
    fn terms(&self) -> Result<Arc<Terms>, Fault> {
        match self {
            Self::NotYet => Err(Fault::passing(
                "starting",
                "the function is starting: see /readyz for what it lacks",
            )),
            Self::Open(terms) => Ok(Arc::clone(terms)),
            Self::NoMore => Err(Fault::passing("ending", "the function is ending")),
        }
    }
}

/// What is taken in.
pub(crate) struct Terms {
    /// Records of these topics.
    topics: Vec<String>,
    /// How long a request waits for its answer at most.
    within: Duration,
    /// Bytes that there is room for.
    room: Arc<Semaphore>,
    capacity: u32,
}

impl Terms {
    pub(crate) fn new(topics: Vec<String>, within: Duration, bytes: u64) -> Self {
        let capacity = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            topics,
            within,
            room: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
        }
    }
}

/// A record that somebody waits for.
pub(crate) struct Brought {
    pub(crate) record: Received,
    pub(crate) reply: Reply,
}

/// Where its answer goes.
pub(crate) struct Reply {
    sender: oneshot::Sender<Result<(), Fault>>,
    /// When nobody waits any more.
    pub(crate) until: Instant,
    room: OwnedSemaphorePermit,
}

impl Reply {
    /// Answers the request, if it still waits.
    pub(crate) fn send(self, result: Result<(), Fault>) {
        // Whoever hears of it may bring the next one at once.
        drop(self.room);
        // Whoever has gone away brings the record again.
        let _ = self.sender.send(result);
    }
}

impl Intake {
    /// The route of requests.
    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/", post(bring))
            .with_state(self.clone())
    }

    /// Takes requests in from now on.
    pub(crate) fn open(&self, terms: Terms) {
        self.line().door = Door::Open(Arc::new(terms));
    }

    /// Takes no more in. Those that wait are answered.
    pub(crate) fn close(&self) {
        self.line().door = Door::NoMore;
    }

    /// Takes what waits: so many requests and bytes at most, but for a first one that is larger. Waits for one at most
    /// so long.
    pub(crate) fn take(&self, requests: usize, bytes: usize, wait: Duration) -> Vec<Brought> {
        let line = self.line();
        let (mut line, _) = self
            .shared
            .came
            .wait_timeout_while(line, wait, |line| line.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        line.waiting
            .retain(|brought| !brought.reply.sender.is_closed());
        let mut taken = Vec::new();
        let mut size = 0;
        while let Some(next) = line.waiting.front() {
            size += next.record.size();
            if taken.len() == requests || (size > bytes && !taken.is_empty()) {
                break;
            }
            taken.extend(line.waiting.pop_front());
        }
        taken
    }

    fn terms(&self) -> Result<Arc<Terms>, Fault> {
        self.line().door.terms()
    }

    /// Puts a record in line, unless no more are taken since its request began.
    fn put(&self, brought: Brought) -> Result<(), Fault> {
        let mut line = self.line();
        line.door.terms()?;
        line.waiting.push_back(brought);
        self.shared.came.notify_one();
        Ok(())
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.shared
            .line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn bring(
    State(intake): State<Intake>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Fault> {
    let terms = intake.terms()?;
    let until = Instant::now() + terms.within;
    let late = |_| {
        let message = format!(
            "there was no answer within {:?}; the record comes again, none is dropped",
            terms.within
        );
        Fault::of(StatusCode::GATEWAY_TIMEOUT, "not-in-time", message)
    };
    let room = room(&terms, &body)?;
    let body = timeout_at(until.into(), to_bytes(body, LARGEST))
        .await
        .map_err(late)?
        .map_err(|error| {
            let message = format!("the request's body cannot be read: {error}");
            Fault::of(StatusCode::BAD_REQUEST, "unread", message)
        })?;
    let record = Received::read(&headers, body)?;
    if !terms.topics.iter().any(|topic| topic == record.topic()) {
        let message = format!(
            "the event is of the topic {}, which this function does not read: repair the KafkaSource's topics or its sink; the record comes again until then",
            record.topic()
        );
        return Err(Fault::settings("foreign-topic", message));
    }
    let (sender, answer) = oneshot::channel();
    let reply = Reply {
        sender,
        until,
        room,
    };
    intake.put(Brought { record, reply })?;
    timeout_at(until.into(), answer)
        .await
        .map_err(late)?
        .unwrap_or_else(|_| Err(Fault::passing("ending", "the function has ended")))?;
    Ok(StatusCode::ACCEPTED)
}

/// Room for a request, or why there is none.
fn room(terms: &Terms, body: &Body) -> Result<OwnedSemaphorePermit, Fault> {
    let size = body
        .size_hint()
        .upper()
        .map_or(LARGEST, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if size > LARGEST {
        let message =
            format!("the request holds {size} bytes, and {LARGEST} is the most that is taken");
        return Err(Fault::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            message,
        ));
    }
    // What is larger than all the room there is comes alone.
    let needed =
        u32::try_from(size + OVERHEAD).map_or(terms.capacity, |size| size.min(terms.capacity));
    Arc::clone(&terms.room)
        .try_acquire_many_owned(needed)
        .map_err(|_| {
            Fault::of(
                StatusCode::TOO_MANY_REQUESTS,
                "overloaded",
                "more records wait for their answers than there is room for: let Knative start more instances, or send fewer at a time",
            )
        })
}
