//! Trials: a version is run once, for samples or for one record, without a topic.

use millrace_artifacts::Store;
use millrace_runtime::handler::{Answer, Answers, Handler as _, Input};
use millrace_runtime::{Schemas, onnxruntime};
use millrace_wire::function::InferenceSpec;
use millrace_wire::pinned::Record;
use millrace_wire::record::Parts;
use millrace_wire::registry::Version;
use millrace_wire::samples::{Expected, Samples};
use millrace_wire::trial::{Bytes, Outcome, Trial, Work};
use tokio::runtime::Handle;

use crate::handler::Predictor;
use crate::load::Loader;
use crate::{model, samples};

/// What a trial shows.
pub(crate) fn outcome(trial: Trial, runtime: &Handle) -> Outcome {
    made(trial, runtime).unwrap_or_else(|message| Outcome::Failed { message })
}

fn made(trial: Trial, runtime: &Handle) -> Result<Outcome, String> {
    let library = onnxruntime().map_err(|error| error.to_string())?;
    millrace_engine::load(&library).map_err(|error| error.to_string())?;
    let store = runtime
        .block_on(Store::open(&trial.artifacts))
        .map_err(|error| error.to_string())?;
    match trial.work {
        Work::Samples { digest, samples } => try_samples(&store, runtime, &digest, &samples),
        Work::Record {
            spec,
            version,
            source,
            record,
        } => {
            let record = record
                .record()
                .ok_or("the trial's record cannot be read: this is a fault of Millrace")?;
            answer(&store, runtime, &spec, &version, &source, &record)
        }
    }
}

fn try_samples(
    store: &Store,
    runtime: &Handle,
    digest: &str,
    expected: &Expected,
) -> Result<Outcome, String> {
    let read = |digest: &str| runtime.block_on(store.get_bytes(digest));
    let file = read(digest).map_err(|error| format!("the model cannot be read: {error}"))?;
    let npz =
        read(&expected.digest).map_err(|error| format!("the samples cannot be read: {error}"))?;
    let agreed = Samples::read(&npz)
        .map_err(|error| error.to_string())
        .and_then(|golden| {
            let mut opened = model::open(&file)
                .map_err(|error| format!("ONNX Runtime cannot load the model: {error}"))?;
            samples::check(&mut opened.session, &golden, expected.tolerance)
        });
    Ok(match agreed {
        Ok(count) => Outcome::Agrees { count },
        Err(message) => Outcome::Differs { message },
    })
}

/// Answers a record as a replica of the inference does, with another version perhaps.
fn answer(
    store: &Store,
    runtime: &Handle,
    spec: &InferenceSpec,
    version: &Version,
    source: &str,
    record: &Record,
) -> Result<Outcome, String> {
    let loader = Loader::new(store.clone(), runtime.clone(), spec);
    let model = loader.load_any(version).map_err(|fault| fault.message)?;
    let schemas = Schemas::new(runtime, &spec.connection).map_err(|missing| missing.to_string())?;
    let mut predictor = Predictor::new(spec, model, None, schemas);
    let headers: Vec<(&str, Option<&[u8]>)> = record
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_deref()))
        .collect();
    let input = Input {
        source,
        parts: Parts {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp_ms: record.timestamp_ms,
            headers: &headers.as_slice(),
        },
    };
    let mut answers = Answers::default();
    predictor
        .handle(&[input], &mut answers)
        .map_err(|stall| stall.message)?;
    let answer = answers.iter().next();
    Ok(
        match answer.ok_or("the record got no answer: this is a fault of Millrace")? {
            Answer::Output(value) => Outcome::Answered {
                value: Bytes::new(value),
            },
            Answer::HandOn => Outcome::HandedOn,
            Answer::Refused(refusal) => Outcome::Refused {
                code: refusal.code.to_owned(),
                message: refusal.message.clone(),
            },
        },
    )
}
