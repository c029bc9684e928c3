//! Inference through real Kafka, exactly once: the function's own process, beside a process that only copies
//! topics and beside a loop that only runs the model.

use std::path::PathBuf;

use anyhow::Result;
use millrace_wire::function::{Batching, Guarantee};
use tempfile::TempDir;

use crate::answer::Answer;
use crate::bare;
use crate::cluster::Cluster;
use crate::effort::Effort;
use crate::launch::Program;
use crate::models::Model;
use crate::report::{Better, Row};
use crate::subject::Cost;

/// How the rows begin.
pub(crate) const NAME: &str = "inference";

/// A model with what was measured.
struct Workload {
    name: &'static str,
    model: Model,
    /// Records in one turn.
    count: usize,
    rounds: Vec<Round>,
}

/// What was measured in one round.
struct Round {
    inference: Cost,
    copy: Cost,
    /// Of a copy that writes what the inference writes.
    same_bytes: Cost,
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
        Workload {
            name: "8-16-2",
            model: Model::dense([8, 16, 2], &artifacts)?,
            count: effort.small_records,
            rounds: Vec::new(),
        },
        Workload {
            name: "MLP 784-128-10",
            model: Model::dense([784, 128, 10], &artifacts)?,
            count: effort.large_records,
            rounds: Vec::new(),
        },
    ];
    for _ in 0..effort.rounds {
        for workload in &mut workloads {
            workload.measure(&cluster, &folder, effort)?;
        }
    }
    let [small, large] = &workloads;
    let mut rows = small.rows();
    rows.extend(large.rows());
    Ok(rows)
}

impl Workload {
    fn measure(&mut self, cluster: &Cluster, folder: &TempDir, effort: &Effort) -> Result<()> {
        let records = &self.model.records;
        let guarantee = Guarantee::ExactlyOnce;
        let answer: PathBuf = folder.path().join("answer.json");
        let inference = Program::Inference {
            model: &self.model,
            artifacts: &format!("file://{}", folder.path().display()),
            guarantee,
            properties: &[],
        };
        let mut subject = inference.start(cluster)?;
        let inference = subject.measure(records, self.count)?;
        Answer::of(cluster, &subject.route.output)?.write(&answer)?;
        subject.end()?;
        let copy = |answer| -> Result<Cost> {
            let mut subject = Program::Copy { guarantee, answer }.start(cluster)?;
            let cost = subject.measure(records, self.count)?;
            subject.end()?;
            Ok(cost)
        };
        let batch = Batching::default().max_batch as usize;
        let features = self.model.features as usize;
        self.rounds.push(Round {
            inference,
            copy: copy(None)?,
            same_bytes: copy(Some(&answer))?,
            bare: bare::run(&self.model.file, features, batch, effort.turn)?,
        });
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let figures = |figure: fn(&Round) -> f64| self.rounds.iter().map(figure).collect();
        let rate: Vec<f64> = figures(|round| round.inference.records_per_second());
        let copy_rate: Vec<f64> = figures(|round| round.copy.records_per_second());
        let same_rate: Vec<f64> = figures(|round| round.same_bytes.records_per_second());
        let bare_rate: Vec<f64> = figures(|round| round.bare.records_per_second());
        let cpu: Vec<f64> = figures(|round| round.inference.cpu_micros_per_record());
        let copy_cpu: Vec<f64> = figures(|round| round.copy.cpu_micros_per_record());
        let same_cpu: Vec<f64> = figures(|round| round.same_bytes.cpu_micros_per_record());
        let bare_cpu: Vec<f64> = figures(|round| round.bare.cpu_micros_per_record());
        let both_cpu: Vec<f64> = figures(|round| {
            round.copy.cpu_micros_per_record() + round.bare.cpu_micros_per_record()
        });
        let same_both_cpu: Vec<f64> = figures(|round| {
            round.same_bytes.cpu_micros_per_record() + round.bare.cpu_micros_per_record()
        });

        let name = |floor: &str| format!("{NAME}, {}, exactly once | {floor}", self.name);
        let rates = |floor: &str, floors: &[f64]| {
            Row::new(name(floor), "records/s", Better::Higher, &rate, floors)
        };
        let costs = |floor: &str, floors: &[f64]| {
            Row::new(name(floor), "CPU µs/record", Better::Lower, &cpu, floors)
        };
        let mut rows = vec![
            rates("a copy: records a second", &copy_rate),
            rates("a copy of the same bytes: records a second", &same_rate),
            rates("session.run alone: records a second", &bare_rate),
            costs("a copy: CPU", &copy_cpu),
            costs("a copy of the same bytes: CPU", &same_cpu),
            costs("session.run alone: CPU", &bare_cpu),
            costs("a copy and session.run: CPU", &both_cpu),
            costs(
                "a copy of the same bytes and session.run: CPU",
                &same_both_cpu,
            ),
        ];
        // The small model is all Kafka, the large one is half arithmetic: each has the floors that bind it. A copy of small
        // records writes less than an inference, and one of large records more: what counts is the same bytes.
        let targets: &[(usize, f64)] = if self.model.features == 8 {
            &[(0, 0.75), (1, 0.75), (3, 1.4), (4, 1.4)]
        } else {
            &[(6, 1.2), (7, 1.2)]
        };
        for (row, target) in targets {
            rows[*row].target = Some(*target);
        }
        rows
    }
}
