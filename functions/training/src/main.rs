//! `millrace-training`: a process of the training pool. It reads commands, or they are brought to it by AWS Lambda or Knative.

mod ahead;
mod attempts;
mod batch;
mod checkpoint;
mod control;
mod dataset;
mod dead_letter;
mod early;
mod failure;
mod fitting;
mod golden;
mod handler;
mod inputs;
#[cfg(test)]
mod interruption;
mod judge;
mod keeper;
mod lane;
mod layout;
mod options;
mod order;
mod patience;
mod pinned;
mod pool;
mod push;
mod rate;
mod records;
mod report;
mod retention;
mod rows;
mod score;
mod segment;
mod spread;
mod stopping;
mod targets;
#[cfg(test)]
mod testing;
mod trainer;
mod turn;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::Utc;
use millrace_artifacts::Store;
use millrace_kafka::Connection;
use millrace_runtime::{Failure, Function, Reporter, knative, lambda, onnxruntime};
use millrace_wire::function::{Role, Trigger};
use uuid::Uuid;

use crate::handler::Handler;
use crate::push::Push;
use crate::rows::Room;
use crate::turn::Commands;

fn main() -> ExitCode {
    millrace_runtime::run(|function| start(&function))
}

fn start(function: &Function) -> Result<(), Failure> {
    let Role::Training(pool) = &function.spec.role else {
        return Err(Failure::Specification(
            "this program trains, and the specification is for another role".to_owned(),
        ));
    };
    let Some(control) = &function.spec.control else {
        return Err(Failure::Specification(
            "a training pool hears of trainings through a topic of Millrace, and the specification names no cluster that holds it".to_owned(),
        ));
    };
    millrace_engine::load(&onnxruntime()?)
        .map_err(|error| Failure::Specification(error.to_string()))?;
    // The kernels are tried while the group is joined; whoever needs them before waits for that.
    function.runtime.spawn_blocking(millrace_engine::lowering);
    let store = function
        .runtime
        .block_on(Store::open(&function.spec.artifacts))
        .map_err(Failure::failed)?;
    let reporter = Reporter::start(Some(control))?;
    let handler = Handler {
        store,
        reporter,
        readiness: function.readiness.clone(),
        shutdown: function.shutdown.clone(),
        runtime: function.runtime.clone(),
        room: Room {
            memory_bytes: pool.memory_bytes,
            scratch: pool
                .scratch_folder
                .as_ref()
                .map_or_else(std::env::temp_dir, PathBuf::from),
        },
        commands: Commands {
            connection: Connection::new(&control.connection),
            topic: pool.topic.clone(),
        },
        process: Uuid::now_v7(),
        now: Utc::now,
    };
    match function.spec.trigger {
        Trigger::Poll => pool::run(function, control, pool, handler),
        Trigger::Lambda(_) => {
            let push = Push::new(handler, pool);
            lambda::run_alone(function, &pool.topic, &mut |brought| push.answer(brought))
        }
        Trigger::Knative(requests) => {
            let push = Push::new(handler, pool);
            knative::run_alone(function, requests, &pool.topic, &mut |brought| {
                push.answer(brought)
            });
            Ok(())
        }
    }
}
