//! `millrace-inference`: a replica of an inference. It reads its partitions of the input topic,
//! answers each record with one version of a model, and follows that model's alias. On AWS Lambda and on Knative the
//! records are brought to it. With the argument `try` it answers one
//! [trial](millrace_wire::trial) instead, with `edge` it works [on its own](edge).

mod edge;
mod encode;
mod follow;
mod handler;
mod inputs;
mod load;
mod model;
mod outputs;
mod pointer;
mod samples;
mod trial;
mod zipmap;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use millrace_runtime::{
    Failure, Function, Reporter, Schemas, Status, knative, lambda, onnxruntime, poll, run, run_as,
    try_out,
};
use millrace_wire::function::{InferenceSpec, Role, Trigger};
use millrace_wire::registry::Version;
use millrace_wire::trial::ARGUMENT;

use crate::follow::Following;
use crate::handler::Predictor;
use crate::load::Loader;
use crate::model::Model;
use crate::pointer::Pointed;

/// How long a function that cannot start waits until that is heard.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// librdkafka allocates each record in one thread and frees it in another, which glibc's allocator does slowly: on small
/// records it took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(argument) if argument == ARGUMENT => try_out(trial::outcome),
        Some(argument) if argument == edge::ARGUMENT => run_as(
            || edge::specification(arguments.next()),
            |function| infer(&function),
        ),
        _ => run(|function| infer(&function)),
    }
}

fn infer(function: &Function) -> Result<(), Failure> {
    let Role::Inference(spec) = &function.spec.role else {
        return Err(Failure::Specification(
            "the specification is not one of an inference: start the binary of its role".to_owned(),
        ));
    };
    let library = onnxruntime()?;
    function
        .readiness
        .unmet("model", "no version of the model is loaded yet");
    let reporter = Reporter::start(function.spec.control.as_ref())?;
    let status = Status::new(
        spec.id,
        function.spec.ordinal,
        reporter,
        function.readiness.clone(),
    );
    match function.spec.trigger {
        Trigger::Poll => poll_records(function, spec, &status, &library),
        Trigger::Lambda(invocations) => {
            let mut predictor = pushed(function, spec, &status, &library)?;
            lambda::run(function, spec, invocations, &status, &mut predictor)
        }
        Trigger::Knative(requests) => {
            let mut predictor = pushed(function, spec, &status, &library)?;
            knative::run(function, requests, spec, &status, &mut predictor)
        }
    }
}

/// Reads records until the function shall end. What waits for Kafka begins before the model is loaded.
fn poll_records(
    function: &Function,
    spec: &InferenceSpec,
    status: &Status,
    library: &Path,
) -> Result<(), Failure> {
    let prepared = poll::prepare(function, spec, status)?;
    let registry = follow::registry(function, spec)?;
    load(library)?;
    let loader = Loader::open(function, spec)?;
    let first = match registry {
        None => loader
            .persist(named(spec)?, status, &function.shutdown)
            .map(|model| (model, None)),
        Some(registry) => follow::start(function, spec, registry, &loader, status)?
            .map(|(model, followed)| (model, Some(Following::Topic(followed)))),
    };
    let Some((model, following)) = first else {
        return Ok(());
    };
    let mut predictor = predictor(function, spec, model, following)?;
    poll::run(prepared, &mut predictor)
}

/// What answers records that are brought.
fn pushed(
    function: &Function,
    spec: &InferenceSpec,
    status: &Status,
    library: &Path,
) -> Result<Predictor, Failure> {
    load(library)?;
    let loader = Loader::open(function, spec)?;
    let (model, following) = first(spec, &loader, status)?;
    predictor(function, spec, model, following)
}

fn load(library: &Path) -> Result<(), Failure> {
    millrace_engine::load(library).map_err(|error| Failure::Specification(error.to_string()))
}

fn predictor(
    function: &Function,
    spec: &InferenceSpec,
    model: Model,
    following: Option<Following>,
) -> Result<Predictor, Failure> {
    let schemas = Schemas::new(&function.runtime, &spec.connection).map_err(Failure::failed)?;
    function.readiness.met("model");
    Ok(Predictor::new(spec, model, following, schemas))
}

/// The version of an inference that follows no alias.
fn named(spec: &InferenceSpec) -> Result<&Version, Failure> {
    spec.version.as_ref().ok_or_else(|| {
        Failure::Specification(
            "the specification names neither a version of the model nor an alias".to_owned(),
        )
    })
}

/// The version to begin with, or why the function cannot start: whoever brings records starts it again.
fn first(
    spec: &InferenceSpec,
    loader: &Loader,
    status: &Status,
) -> Result<(Model, Option<Following>), Failure> {
    match &spec.alias {
        None => loader.load(named(spec)?).map(|model| (model, None)),
        Some(alias) => Pointed::start(spec, alias, loader, status)
            .map(|(model, pointed)| (model, Some(Following::Pointer(Box::new(pointed))))),
    }
    .map_err(|fault| {
        fault.report(status, "nothing is answered until it can be");
        status.finish(LAST_WORDS);
        Failure::failed(fault)
    })
}
