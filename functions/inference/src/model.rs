//! One version of a model, ready to answer batches of records.
//!
//! Invariant: a model that exists has taken a batch of zeros and given one row of every output for
//! each record of it, unless it takes texts and refuses empty ones.

use std::collections::BTreeMap;
use std::thread;

use millrace_engine::{Data, Error, Outputs, Session, SessionOptions};
use millrace_wire::function::HandOn;
use millrace_wire::prediction::{Choice, OutputFormat};
use millrace_wire::record::{RecordFormat, Texts};
use millrace_wire::samples::{Samples, Tolerance};

use crate::inputs::Inputs;
use crate::outputs::Written;
use crate::samples;
use crate::zipmap::{Unzipped, unzip};

/// How many records the batch of the warm-up has: more than one, so that an output without a batch
/// dimension shows.
const WARM_UP_RECORDS: usize = 2;
/// From this size of its file on a model is run by as many threads as there are processors. Below
/// it the threads cost more than they save.
const LARGE: usize = 8 << 20;

/// A loaded version.
pub(crate) struct Model {
    version: u32,
    session: Session,
    inputs: Inputs,
    written: Written,
    /// The Avro schema of what is written, where it has one.
    schema: Option<String>,
    /// The id that a registry has given it.
    schema_id: Option<u32>,
    /// What is copied for inputs that are not the features as they lie.
    columns: Vec<Data>,
}

/// Why a file cannot answer the records of an inference.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// ONNX Runtime cannot load or run it.
    #[error("{0}")]
    Invalid(Error),
    /// It takes or gives something else than the inference needs.
    #[error("{0}")]
    Mismatch(String),
}

/// A file in ONNX Runtime, before anything is known of the records that it shall answer.
pub(crate) struct Opened {
    pub(crate) session: Session,
    /// The names of classes that the model itself has, by output.
    classes: BTreeMap<String, Vec<String>>,
}

/// Loads the bytes of a file.
pub(crate) fn open(file: &[u8]) -> Result<Opened, Error> {
    let unzipped = unzip(file);
    let (file, classes) = match &unzipped {
        Some(Unzipped { file, classes }) => (file.as_slice(), classes.clone()),
        None => (file, BTreeMap::new()),
    };
    let options = SessionOptions {
        threads: threads(file.len(), processors()),
        ..SessionOptions::default()
    };
    let session = Session::from_bytes(file, &options)?;
    Ok(Opened { session, classes })
}

impl Model {
    /// Makes a version from the bytes of its file, and runs it once. These outputs are written, or
    /// all; records of which it is not sure are handed on.
    pub(crate) fn new(
        version: u32,
        file: &[u8],
        format: &RecordFormat,
        (outputs, output_format): (&[Choice], OutputFormat),
        hand_on: Option<&HandOn>,
    ) -> Result<Self, Unfit> {
        let Opened { session, classes } = open(file).map_err(Unfit::Invalid)?;
        let inputs = Inputs::plan(session.inputs(), format)?;
        let mut written = Written::plan(session.outputs(), outputs, hand_on, &classes)?;
        let schema = written.fit(output_format, session.outputs())?;
        let mut model = Self {
            version,
            session,
            inputs,
            written,
            schema,
            schema_id: None,
            columns: Vec::new(),
        };
        model.warm_up()?;
        Ok(model)
    }

    /// The version's number.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The outputs that are written, and how.
    pub(crate) fn choices(&self) -> &[Choice] {
        &self.written.choices
    }

    /// The Avro schema of what is written, where it has one.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The id that a registry has given the schema.
    pub(crate) fn schema_id(&self) -> Option<u32> {
        self.schema_id
    }

    /// Notes that id.
    pub(crate) fn registered(&mut self, id: u32) {
        self.schema_id = Some(id);
    }

    /// What of a record's features the model's inputs cannot hold.
    pub(crate) fn misfit(&self, row: &[f32]) -> Option<String> {
        self.inputs.misfit(row)
    }

    /// Runs the model on `records` rows that lie one after another, in which numbers stand for these texts.
    pub(crate) fn run(
        &mut self,
        records: usize,
        rows: &[f32],
        texts: &Texts,
    ) -> Result<(Outputs<'_>, &Written), Error> {
        let fed = self.inputs.feed(records, rows, texts, &mut self.columns);
        let given = self.session.run_with(&fed.numbers, &fed.texts)?;
        Ok((given, &self.written))
    }

    /// Runs samples on this machine, and says what the version answers otherwise than they expect.
    pub(crate) fn check(&mut self, golden: &Samples, tolerance: Tolerance) -> Result<(), String> {
        samples::check(&mut self.session, golden, tolerance).map(|_| ())
    }

    fn warm_up(&mut self) -> Result<(), Unfit> {
        let zeros = vec![0.0; WARM_UP_RECORDS * self.inputs.elements()];
        // No text is there: each is the empty one.
        let texts = Texts::default();
        let takes_texts = self.inputs.take_texts();
        let (outputs, written) = match self.run(WARM_UP_RECORDS, &zeros, &texts) {
            Ok(given) => given,
            // An encoder may refuse a category that it has not learned, as the empty one. What such a model gives shows with
            // the first records.
            Err(error @ Error::Run(_)) if takes_texts => {
                tracing::debug!(%error, "the model does not take empty texts");
                return Ok(());
            }
            Err(error) => return Err(Unfit::Invalid(error)),
        };
        written
            .columns(&outputs, WARM_UP_RECORDS)
            .and_then(|columns| written.check_classes(&columns))
            .and_then(|()| written.unsure(&outputs, WARM_UP_RECORDS).map(drop))
            .map_err(Unfit::Mismatch)
    }
}

/// Threads for a model of this size: all that the container's quota allows, or one.
fn threads(size: usize, processors: usize) -> usize {
    if size >= LARGE { processors } else { 1 }
}

/// The processors that this process may use, by its quota and its affinity.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A shape as people write it, with `?` for what is free.
pub(crate) fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or("?".to_owned(), |size| size.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_models_take_all_processors() {
        assert_eq!(threads(LARGE - 1, 8), 1);
        assert_eq!(threads(LARGE, 8), 8);
        assert_eq!(threads(LARGE, 1), 1);
    }
}
