//! Inference through real Kafka, exactly once: the function's own process, beside a process that only copies
//! topics and beside a loop that only runs the model.

use std::ffi::OsString;
use std::iter;

use anyhow::{Context as _, Result};
use millrace_artifacts::Store;
use millrace_harness::{Process, free_port, onnxruntime};
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::function::{
    Batching, Control, FunctionSpec, Guarantee, InferenceSpec, NotFinite, Role, VARIABLE,
};
use millrace_wire::prediction::OutputFormat;
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use millrace_wire::registry::Version;
use millrace_wire::signature::Signature;
use uuid::Uuid;

use crate::bare;
use crate::cluster::Cluster;
use crate::effort::Effort;
use crate::numbers::Numbers;
use crate::report::{Better, Row};
use crate::subject::{Cost, Subject};

/// Different records, which take turns.
const RECORDS: usize = 1_000;

/// A model with the records that it answers.
struct Workload {
    name: &'static str,
    features: u32,
    file: Vec<u8>,
    version: Version,
    records: Vec<Vec<u8>>,
    /// Records in one turn.
    count: usize,
    rounds: Vec<Round>,
}

/// What was measured in one round.
struct Round {
    inference: Cost,
    copy: Cost,
    bare: Cost,
}

/// The rows of inference.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let mut workloads = [
        Workload::new("8-16-2", [8, 16, 2], effort.small_records, &artifacts)?,
        Workload::new(
            "MLP 784-128-10",
            [784, 128, 10],
            effort.large_records,
            &artifacts,
        )?,
    ];
    for _ in 0..effort.rounds {
        for workload in &mut workloads {
            workload.measure(&cluster, &artifacts, effort)?;
        }
    }
    let [small, large] = &workloads;
    let mut rows = small.rows();
    rows.extend(large.rows());
    Ok(rows)
}

impl Workload {
    fn new(
        name: &'static str,
        [features, hidden, classes]: [u32; 3],
        count: usize,
        artifacts: &str,
    ) -> Result<Self> {
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
            name,
            features,
            version: store(artifacts, &file)?,
            file,
            records: (0..RECORDS).map(record).collect(),
            count,
            rounds: Vec::new(),
        })
    }

    fn measure(&mut self, cluster: &Cluster, artifacts: &str, effort: &Effort) -> Result<()> {
        let inference = self.start_inference(cluster, artifacts)?;
        let inference = inference.measure(&self.records, self.count)?;
        let copy = start_copy(cluster)?.measure(&self.records, self.count)?;
        let batch = Batching::default().max_batch as usize;
        let bare = bare::run(&self.file, self.features as usize, batch, effort.turn)?;
        self.rounds.push(Round {
            inference,
            copy,
            bare,
        });
        Ok(())
    }

    /// Starts the function's own binary, as the platform does.
    fn start_inference<'a>(&self, cluster: &'a Cluster, artifacts: &str) -> Result<Subject<'a>> {
        let input = cluster.topic("bench-input")?;
        let output = cluster.topic("bench-output")?;
        let dead_letters = cluster.topic("bench-dead-letters")?;
        let events = cluster.topic("bench-events")?;
        let group = cluster.group(&input)?;
        let inference = InferenceSpec {
            id: Uuid::now_v7(),
            project: "default".to_owned(),
            name: "bench".to_owned(),
            connection: cluster.properties.clone(),
            model: "bench".to_owned(),
            version: self.version.clone(),
            alias: None,
            input_topic_id: cluster.admin.describe_topic(&input)?.id,
            input_topic: input.clone(),
            input_format: RecordFormat::Raw(RawArray {
                dtype: Dtype::Float32,
                shape: vec![self.features],
                byte_order: ByteOrder::Little,
            }),
            output_topic: output.clone(),
            output_format: OutputFormat::Json,
            outputs: Vec::new(),
            echo_input: false,
            dead_letter_topic: dead_letters.clone(),
            redrive_topic: None,
            span: None,
            hand_on: None,
            not_finite: NotFinite::Pass,
            group: group.clone(),
            guarantee: Guarantee::ExactlyOnce,
            transactional_id: group.clone(),
            batching: Batching::default(),
        };
        let control = Control {
            connection: cluster.properties.clone(),
            events_topic: events.clone(),
            // Read for an alias, and this inference follows none.
            registry_topic: "none".to_owned(),
        };
        let spec = FunctionSpec::new(
            control,
            artifacts.to_owned(),
            format!("127.0.0.1:{}", free_port()),
            0,
            Role::Inference(Box::new(inference)),
        );
        let environment = [
            (VARIABLE, OsString::from(spec.to_json())),
            ("MILLRACE_ONNXRUNTIME__LIBRARY", onnxruntime().into()),
        ];
        Ok(Subject {
            cluster,
            process: Process::start("millrace-inference", iter::empty::<&str>(), environment),
            input: input.clone(),
            group,
            topics: vec![input, output, dead_letters, events],
        })
    }

    fn rows(&self) -> Vec<Row> {
        let figures = |figure: fn(&Round) -> f64| self.rounds.iter().map(figure).collect();
        let rate: Vec<f64> = figures(|round| round.inference.records_per_second());
        let copy_rate: Vec<f64> = figures(|round| round.copy.records_per_second());
        let bare_rate: Vec<f64> = figures(|round| round.bare.records_per_second());
        let cpu: Vec<f64> = figures(|round| round.inference.cpu_micros_per_record());
        let copy_cpu: Vec<f64> = figures(|round| round.copy.cpu_micros_per_record());
        let bare_cpu: Vec<f64> = figures(|round| round.bare.cpu_micros_per_record());
        let both_cpu: Vec<f64> = figures(|round| {
            round.copy.cpu_micros_per_record() + round.bare.cpu_micros_per_record()
        });

        let name = |floor: &str| format!("inference, {}, exactly once | {floor}", self.name);
        let rates = |floor: &str, floors: &[f64]| {
            Row::new(name(floor), "records/s", Better::Higher, &rate, floors)
        };
        let costs = |floor: &str, floors: &[f64]| {
            Row::new(name(floor), "CPU µs/record", Better::Lower, &cpu, floors)
        };
        let mut rows = vec![
            rates("a copy: records a second", &copy_rate),
            rates("session.run alone: records a second", &bare_rate),
            costs("a copy: CPU", &copy_cpu),
            costs("session.run alone: CPU", &bare_cpu),
            costs("a copy and session.run: CPU", &both_cpu),
        ];
        // The small model is all Kafka, the large one is half arithmetic: each has the floor that binds it.
        if self.features == 8 {
            rows[0].target = Some(0.75);
            rows[2].target = Some(1.4);
        } else {
            rows[4].target = Some(1.2);
        }
        rows
    }
}

fn start_copy(cluster: &Cluster) -> Result<Subject<'_>> {
    let input = cluster.topic("bench-input")?;
    let output = cluster.topic("bench-output")?;
    let group = cluster.group(&input)?;
    let servers = &cluster.properties["bootstrap.servers"];
    let arguments = [
        "copy",
        "--bootstrap-servers",
        servers,
        "--input",
        &input,
        "--output",
        &output,
        "--group",
        &group,
    ];
    let process = Process::start("millrace-bench", arguments, iter::empty::<(&str, &str)>());
    Ok(Subject {
        cluster,
        process,
        input: input.clone(),
        group,
        topics: vec![input, output],
    })
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
