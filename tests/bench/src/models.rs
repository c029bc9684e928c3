//! The models of the bench's inferences, with the records that they answer.

use anyhow::{Context as _, Result};
use millrace_artifacts::Store;
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::registry::Version;
use millrace_wire::signature::Signature;

use crate::numbers::Numbers;

/// Different records, which take turns.
const RECORDS: usize = 1_000;

/// A model in the artifact store.
pub(crate) struct Model {
    /// Numbers of a record, each a float32.
    pub(crate) features: u32,
    pub(crate) file: Vec<u8>,
    pub(crate) version: Version,
    /// What it answers.
    pub(crate) records: Vec<Vec<u8>>,
}

impl Model {
    /// A network with one hidden layer.
    pub(crate) fn dense([features, hidden, classes]: [u32; 3], artifacts: &str) -> Result<Self> {
        let dense = |units: u32, activation| Layer::Dense {
            units: units as usize,
            activation,
            bias: true,
        };
        let layers = [
            dense(hidden, Activation::Relu),
            dense(classes, Activation::Softmax),
        ];
        let file = layers::build(&[features as usize], &layers, 1)?.encode();
        let mut numbers = Numbers::from_seed(1);
        let record = |_| {
            let floats = numbers.floats(features as usize);
            floats.into_iter().flat_map(f32::to_le_bytes).collect()
        };
        Ok(Self {
            features,
            version: store(artifacts, &file)?,
            file,
            records: (0..RECORDS).map(record).collect(),
        })
    }
}

/// Puts a model into the artifact store.
pub(crate) fn store(artifacts: &str, file: &[u8]) -> Result<Version> {
    let runtime = tokio::runtime::Runtime::new()?;
    let stored = runtime
        .block_on(async {
            let store = Store::open(artifacts).await?;
            store.put_bytes(file.to_vec().into()).await
        })
        .context("cannot store the model")?;
    Ok(Version {
        version: 1,
        digest: stored.digest,
        size: stored.size,
        // For people and the API: the function reads it from the file.
        signature: Signature {
            inputs: Vec::new(),
            outputs: Vec::new(),
            others: None,
        },
        samples: None,
    })
}
