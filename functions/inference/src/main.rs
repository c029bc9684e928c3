//! `millrace-inference`: a replica of an inference. It reads its partitions of the input topic,
//! answers each record with one version of a model, and follows that model's alias. With the argument `try` it answers one
//! [trial](millrace_wire::trial) instead.

mod encode;
mod follow;
mod handler;
mod inputs;
mod load;
mod model;
mod outputs;
mod samples;
mod trial;
mod zipmap;

use std::process::ExitCode;

use millrace_runtime::{
    Failure, Function, Registry, Reporter, Schemas, Status, onnxruntime, poll, run, try_out,
};
use millrace_wire::function::{InferenceSpec, Role};
use millrace_wire::trial::ARGUMENT;

use crate::handler::Predictor;
use crate::load::Loader;

/// librdkafka allocates each record in one thread and frees it in another, which glibc's allocator does slowly: on small
/// records it took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        return try_out(trial::outcome);
    }
    run(|function| infer(&function))
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
    let reporter = Reporter::start(&function.spec.control)?;
    let status = Status::new(
        spec.id,
        function.spec.ordinal,
        reporter,
        function.readiness.clone(),
    );
    let prepared = poll::prepare(function, spec, &status)?;
    let registry = follow::registry(function, spec)?;
    millrace_engine::load(&library).map_err(|error| Failure::Specification(error.to_string()))?;
    let Some(mut predictor) = predictor(function, spec, registry, &status)? else {
        return Ok(());
    };
    function.readiness.met("model");
    poll::run(prepared, &mut predictor)
}

/// Loads the version to begin with; nothing where the function shall end first.
fn predictor(
    function: &Function,
    spec: &InferenceSpec,
    registry: Option<Registry>,
    status: &Status,
) -> Result<Option<Predictor>, Failure> {
    let loader = Loader::open(function, spec)?;
    let first = match registry {
        None => loader
            .persist(&spec.version, status, &function.shutdown)
            .map(|model| (model, None)),
        Some(registry) => follow::start(function, spec, registry, &loader, status)?
            .map(|(model, following)| (model, Some(following))),
    };
    let Some((model, following)) = first else {
        return Ok(None);
    };
    let schemas = Schemas::new(&function.runtime, &spec.connection).map_err(Failure::failed)?;
    Ok(Some(Predictor::new(spec, model, following, schemas)))
}
