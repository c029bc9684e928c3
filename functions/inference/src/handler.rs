//! The inference handler: a batch of records becomes one tensor, one run, one answer a record.
//!
//! Invariant: a record that cannot be decoded or predicted is refused alone, and the others of its
//! batch are answered as if it had not been there.

use std::time::Instant;

use millrace_runtime::handler::{Answers, Current, Handler, Input, Stall};
use millrace_runtime::{Missing, Schemas};
use millrace_wire::function::{InferenceSpec, NotFinite};
use millrace_wire::header;
use millrace_wire::prediction::{Encoder, OutputFormat};
use millrace_wire::progress::Stage;
use millrace_wire::record::{DecodeError, Decoder, RecordFormat, texts};

use crate::encode::{EchoAs, Rows, Writer};
use crate::follow::Following;
use crate::model::Model;

/// What is wrong with a record, if anything is: a code and a sentence.
type Fault = Option<(&'static str, String)>;

/// Answers the records of one inference.
pub(crate) struct Predictor {
    name: String,
    decoder: Decoder,
    schemas: Schemas,
    /// Numbers of one record.
    elements: usize,
    output_format: OutputFormat,
    not_finite: NotFinite,
    model: Model,
    /// Writes the model's outputs.
    encoder: Encoder,
    /// Whether the record is written beside its prediction.
    echo_input: bool,
    /// The shape of a record's features; nothing where the record is a JSON document itself.
    features: Option<Vec<usize>>,
    /// Which features are texts; empty where none is.
    texts: Vec<bool>,
    following: Option<Following>,
    current: Current,
    /// The decoded records of the batch, one row after another.
    rows: Vec<f32>,
    /// The places in the batch of the records that were decoded.
    decoded: Vec<usize>,
}

impl Predictor {
    /// Begins with this version.
    pub(crate) fn new(
        spec: &InferenceSpec,
        model: Model,
        following: Option<Following>,
        schemas: Schemas,
    ) -> Self {
        Self {
            schemas,
            name: spec.model.clone(),
            decoder: Decoder::new(&spec.input_format, None),
            elements: spec.input_format.elements(),
            output_format: spec.output_format,
            not_finite: spec.not_finite,
            echo_input: spec.echo_input,
            features: features(&spec.input_format),
            texts: Some(texts(&spec.input_format))
                .filter(|texts| texts.contains(&true))
                .unwrap_or_default(),
            encoder: encoder(&spec.model, spec.output_format, &model),
            current: Current {
                version: model.version(),
                registry: following.as_ref().and_then(Following::registry),
            },
            model,
            following,
            rows: Vec::new(),
            decoded: Vec::new(),
        }
    }

    /// Decodes the batch into `rows`, and returns what is wrong with the records that cannot be.
    fn decode(&mut self, batch: &[Input<'_>]) -> Result<Vec<Fault>, Stall> {
        self.rows.clear();
        self.decoded.clear();
        self.decoder.clear_texts();
        let mut faults = Vec::with_capacity(batch.len());
        for (place, record) in batch.iter().enumerate() {
            match self.decode_one(record)? {
                Ok(()) => {
                    let start = self.decoded.len() * self.elements;
                    if let Some(misfit) = self.model.misfit(&self.rows[start..]) {
                        // Its texts stay with those of the others: nothing stands for them any more.
                        self.rows.truncate(start);
                        faults.push(Some(("number", misfit)));
                        continue;
                    }
                    self.decoded.push(place);
                    faults.push(None);
                }
                Err(error) => faults.push(Some((error.code(), error.to_string()))),
            }
        }
        Ok(faults)
    }

    /// Decodes a record, with the schemas that it turns out to need.
    fn decode_one(&mut self, record: &Input<'_>) -> Result<Result<(), DecodeError>, Stall> {
        loop {
            let decoded = self
                .decoder
                .decode(&record.parts, &mut self.rows, &mut Vec::new());
            let Some(key) = decoded.as_ref().err().and_then(DecodeError::awaits) else {
                return Ok(decoded);
            };
            match self.schemas.get(key) {
                Ok(document) => self.decoder.learn(key, &document),
                Err(Missing::Unknown(reason)) => {
                    let schema = key.to_string();
                    return Ok(Err(DecodeError::BadSchema { schema, reason }));
                }
                Err(Missing::Unavailable(message)) => {
                    let code = "schema-registry";
                    return Err(Stall { code, message });
                }
            }
        }
    }
}

impl Handler for Predictor {
    fn refresh(&mut self) -> Current {
        if let Some(handover) = self.following.as_mut().and_then(Following::take) {
            if let Some(model) = handover.model {
                self.encoder = encoder(&self.name, self.output_format, &model);
                self.model = model;
            }
            self.current = Current {
                version: self.model.version(),
                registry: handover.registry,
            };
            tracing::info!(
                model.version = self.current.version,
                registry.offset = handover.registry,
                "version taken over"
            );
        }
        self.current
    }

    fn handle(&mut self, batch: &[Input<'_>], answers: &mut Answers) -> Result<(), Stall> {
        answers.headers.extend([
            (header::MODEL, self.name.clone()),
            (header::VERSION, self.model.version().to_string()),
        ]);
        let started = Instant::now();
        let faults = self.decode(batch)?;
        answers.took(Stage::Decode, started.elapsed());
        let rows = Rows {
            elements: self.elements,
            values: &self.rows,
            places: &self.decoded,
            texts: self.decoder.texts(),
        };
        let mut writer = Writer {
            encoder: &self.encoder,
            batch,
            faults,
            answers,
            echo: match &self.features {
                _ if !self.echo_input => EchoAs::Nothing,
                None => EchoAs::Document,
                Some(_) if !self.texts.is_empty() => EchoAs::Mixed(&self.texts),
                Some(shape) => EchoAs::Features(shape),
            },
            policy: self.not_finite,
            not_finite: 0,
        };
        predict(&mut self.model, &rows, &mut writer);
        writer.finish();
        if writer.not_finite > 0 {
            metrics::counter!("millrace_not_finite_numbers_total").increment(writer.not_finite);
        }
        Ok(())
    }
}

fn encoder(name: &str, format: OutputFormat, model: &Model) -> Encoder {
    Encoder::new(
        format,
        name,
        model.version(),
        model.choices(),
        model.schema_id(),
    )
}

/// The shape of a record's features; nothing where the record is a JSON document itself, and nothing else.
fn features(format: &RecordFormat) -> Option<Vec<usize>> {
    if matches!(format, RecordFormat::Json(record) if !record.registry) {
        return None;
    }
    Some(format.shape().iter().map(|size| *size as usize).collect())
}

/// Answers these rows in one run. Where that fails, each half is run by itself, until the culprit
/// is alone: a batch of n records with one culprit costs about 2·log2(n) runs more.
fn predict(model: &mut Model, rows: &Rows<'_>, writer: &mut Writer<'_, '_>) {
    if rows.is_empty() {
        return;
    }
    let reason = match run_and_write(model, rows, writer) {
        Ok(()) => return,
        Err(reason) => reason,
    };
    match rows.halves() {
        Some((first, second)) => {
            predict(model, &first, writer);
            predict(model, &second, writer);
        }
        None => writer.refuse(rows, &reason),
    }
}

fn run_and_write(
    model: &mut Model,
    rows: &Rows<'_>,
    writer: &mut Writer<'_, '_>,
) -> Result<(), String> {
    let started = Instant::now();
    let run = model.run(rows.len(), rows.values, rows.texts);
    writer.answers.took(Stage::Run, started.elapsed());
    let (outputs, written) = run.map_err(|error| error.to_string())?;
    let encoding = Instant::now();
    writer.write(rows, &outputs, written)?;
    writer.answers.took(Stage::Encode, encoding.elapsed());
    Ok(())
}
