//! AWS Lambda's side of a function: the Runtime API as AWS documents it, on a port of its own, and one
//! environment behind it at a time.
//!
//! What it holds functions to: 6 MB of an event and of an answer, an answer to each invocation once, and
//! a deadline in milliseconds since 1970.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::wait::block_until;

/// The most that Lambda takes as an event or as an answer.
const PAYLOAD: usize = 6 << 20;
const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:millrace-test";

/// A Runtime API. Dropping it ends it.
pub struct Lambda {
    address: SocketAddr,
    shared: Arc<Shared>,
    _end: oneshot::Sender<()>,
}

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It succeeded, with this answer.
    Answered(Value),
    /// It failed.
    Failed {
        /// What it says that it is.
        kind: String,
        /// What it says as a sentence.
        message: String,
    },
}

#[derive(Default)]
struct Shared {
    state: Mutex<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    /// Which environment is the newest: requests of older ones get nothing any more.
    environment: usize,
    waiting: VecDeque<Invocation>,
    /// When the newest environment asked for its first invocation.
    asked: Option<Instant>,
    /// None while an invocation is under way; with the moment at which its end was told.
    outcomes: HashMap<String, Option<(Outcome, Instant)>>,
    init_errors: Vec<Outcome>,
    /// Whether answers are held up, and how many are.
    holds: bool,
    held: usize,
}

struct Invocation {
    id: String,
    event: Vec<u8>,
    deadline: SystemTime,
}

impl Lambda {
    /// Starts to listen.
    pub fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let (told, address) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&shared));
        // A thread of its own, so that tests may block.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0")
                    .await
                    .expect("a port is free");
                told.send(listener.local_addr().expect("it is bound"))
                    .expect("the test waits for it");
                tokio::select! {
                    served = axum::serve(listener, routes).into_future() => served.expect("the port is ours"),
                    // The other end was dropped.
                    _ = ended => {}
                }
            });
        });
        Self {
            address: address.recv().expect("it listens"),
            shared,
            _end: end,
        }
    }

    /// What Lambda puts into a new environment. Whatever runs in the one before it is forgotten.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        let mut known = self.lock();
        known.environment += 1;
        known.asked = None;
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "millrace-test".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_REGION", "eu-central-1".to_owned()),
        ]
    }

    /// Hands the function an event, which it has to answer within `limit`. Returns the invocation's id.
    pub fn invoke(&self, event: &Value, limit: Duration) -> String {
        let event = event.to_string().into_bytes();
        assert!(event.len() <= PAYLOAD, "Lambda sends no such event");
        let id = Uuid::now_v7().to_string();
        let invocation = Invocation {
            id: id.clone(),
            event,
            deadline: SystemTime::now() + limit,
        };
        let mut known = self.lock();
        known.outcomes.insert(id.clone(), None);
        known.waiting.push_back(invocation);
        drop(known);
        self.shared.changed.notify_waiters();
        id
    }

    /// Waits for what becomes of an invocation.
    pub fn outcome(&self, id: &str, limit: Duration) -> Outcome {
        self.ended(id, limit).0
    }

    /// The same, and the moment at which it was told.
    pub fn ended(&self, id: &str, limit: Duration) -> (Outcome, Instant) {
        block_until("the invocation ends", limit, || {
            self.lock().outcomes[id].clone().ok_or("it is under way")
        })
    }

    /// Waits until the newest environment asks for its first invocation, and says when it did.
    pub fn asked(&self, limit: Duration) -> Instant {
        block_until("the environment has started", limit, || {
            self.lock().asked.ok_or("it does not ask")
        })
    }

    /// Waits until the function says why it cannot start.
    pub fn init_error(&self, limit: Duration) -> Outcome {
        block_until("the start fails", limit, || {
            self.lock()
                .init_errors
                .first()
                .cloned()
                .ok_or("nothing was said")
        })
    }

    /// From now on no answer is taken, as if the network stood still on its way.
    pub fn hold_answers(&self) {
        self.lock().holds = true;
    }

    /// Waits until an answer is held up.
    pub fn wait_for_held(&self, limit: Duration) {
        block_until("an answer comes", limit, || {
            (self.lock().held > 0).then_some(()).ok_or("none came")
        });
    }

    /// Takes answers again; those that were held up are lost.
    pub fn take_answers(&self) {
        let mut known = self.lock();
        known.holds = false;
        known.held = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until answers are taken; for ever where this one came while they were not.
    async fn pass(&self) {
        let is_held = {
            let mut known = self.lock();
            known.held += usize::from(known.holds);
            known.holds
        };
        if is_held {
            std::future::pending::<()>().await;
        }
    }

    fn end(&self, id: &str, outcome: Outcome) -> StatusCode {
        match self.lock().outcomes.get_mut(id) {
            Some(known @ None) => {
                *known = Some((outcome, Instant::now()));
                StatusCode::ACCEPTED
            }
            // Answered already, or never sent.
            Some(Some(_)) | None => StatusCode::BAD_REQUEST,
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let environment = {
        let mut known = shared.lock();
        known.asked.get_or_insert_with(Instant::now);
        known.environment
    };
    let invocation = loop {
        let changed = shared.changed.notified();
        {
            let mut known = shared.lock();
            if known.environment == environment
                && let Some(invocation) = known.waiting.pop_front()
            {
                break invocation;
            }
        }
        changed.await;
    };
    let deadline = invocation
        .deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("1970 is over")
        .as_millis();
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", invocation.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", ARN)
        .header(
            "Lambda-Runtime-Trace-Id",
            "Root=1-5e1b4151-5ac6c58f5d57f6a3a3a4cd00;Parent=53995c3f42cd8ad8;Sampled=1",
        )
        .header("Content-Type", "application/json")
        .body(Body::from(invocation.event))
        .expect("its parts are well-formed")
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Body,
) -> StatusCode {
    let body = to_bytes(body, PAYLOAD).await;
    shared.pass().await;
    let Ok(body) = body else {
        let kind = "Function.ResponseSizeTooLarge".to_owned();
        let message = format!("more than {PAYLOAD} bytes");
        shared.end(&id, Outcome::Failed { kind, message });
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    match serde_json::from_slice(&body) {
        Ok(answer) => shared.end(&id, Outcome::Answered(answer)),
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Body,
) -> StatusCode {
    let failed = failure(body).await;
    shared.pass().await;
    shared.end(&id, failed)
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Body) -> StatusCode {
    let failed = failure(body).await;
    shared.lock().init_errors.push(failed);
    StatusCode::ACCEPTED
}

async fn failure(body: Body) -> Outcome {
    let body = to_bytes(body, PAYLOAD).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    Outcome::Failed {
        kind: text("errorType"),
        message: text("errorMessage"),
    }
}
