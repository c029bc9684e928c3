//! Inference at 1,000 records a second, beside a process that only copies topics: how soon an answer comes, and what it costs
//! where records come one by one.

use anyhow::Result;
use millrace_wire::function::Guarantee;

use crate::cluster::Cluster;
use crate::effort::Effort;
use crate::launch::Program;
use crate::models::Model;
use crate::pace::Pace;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "latency";

/// Milliseconds between commits, as an inference has them by default.
const COMMIT_INTERVAL: f64 = 100.0;
/// By how many milliseconds an answer may come later than a copy, at least once.
const AT_LEAST_ONCE: [f64; 2] = [0.5, 3.0];
/// The milliseconds within which half of the answers come, exactly once.
const EXACTLY_ONCE: f64 = COMMIT_INTERVAL / 2.0 + 10.0;
/// By how many milliseconds the last hundredth of them may come later than those of a copy.
const EXACTLY_ONCE_LAST: f64 = COMMIT_INTERVAL + 20.0;
/// How much more CPU time than a copy an inference may take.
const CPU: f64 = 1.2;
/// Properties by which records are fetched and written in batches of 5 ms.
const BATCHES: [(&str, &str); 3] = [
    ("fetch.min.bytes", "1000000"),
    ("fetch.wait.max.ms", "5"),
    ("linger.ms", "5"),
];

/// What is measured of one program, a value a round.
#[derive(Default)]
struct Figures {
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figures {
    fn add(&mut self, pace: &Pace) {
        self.p50.push(pace.percentile(50));
        self.p99.push(pace.percentile(99));
        self.cpu.push(pace.cpu_micros_per_record);
    }
}

/// The rows of an even pace.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let model = Model::dense([8, 16, 2], &artifacts)?;
    let inference = |guarantee, properties| Program::Inference {
        model: &model,
        artifacts: &artifacts,
        guarantee,
        properties,
    };
    let copy = |guarantee| Program::Copy {
        guarantee,
        answer: None,
    };
    let programs = [
        inference(Guarantee::AtLeastOnce, &[]),
        copy(Guarantee::AtLeastOnce),
        inference(Guarantee::AtLeastOnce, &BATCHES),
        inference(Guarantee::ExactlyOnce, &[]),
        copy(Guarantee::ExactlyOnce),
    ];
    let mut figures: [Figures; 5] = Default::default();
    for _ in 0..effort.rounds {
        for (program, figures) in programs.iter().zip(&mut figures) {
            let mut subject = program.start(&cluster)?;
            let pace = Pace::measure(&mut subject, &model.records, effort.paced_records)?;
            subject.end()?;
            figures.add(&pace);
        }
    }
    let [inference, copy, batches, exact, exact_copy] = &figures;
    let mut rows = at_least_once(inference, copy, batches);
    rows.extend(exactly_once(exact, exact_copy));
    Ok(rows)
}

fn at_least_once(inference: &Figures, copy: &Figures, batches: &Figures) -> Vec<Row> {
    let name = |what: &str| format!("{NAME}, 1,000 records a second, at least once | {what}");
    vec![
        Row {
            margin: Some(AT_LEAST_ONCE[0]),
            ..time(name("a copy: half within"), &inference.p50, &copy.p50)
        },
        Row {
            margin: Some(AT_LEAST_ONCE[1]),
            ..time(name("a copy: 99 % within"), &inference.p99, &copy.p99)
        },
        Row {
            target: Some(CPU),
            ..cost(name("a copy: CPU"), &inference.cpu, &copy.cpu)
        },
        time(
            name("batches of 5 ms beside none: half within"),
            &batches.p50,
            &inference.p50,
        ),
        cost(
            name("batches of 5 ms beside none: CPU"),
            &batches.cpu,
            &inference.cpu,
        ),
    ]
}

fn exactly_once(inference: &Figures, copy: &Figures) -> Vec<Row> {
    let name = |what: &str| format!("{NAME}, 1,000 records a second, exactly once | {what}");
    vec![
        Row {
            target: Some(1.0),
            ..time(
                name("the limit: half within"),
                &inference.p50,
                &[EXACTLY_ONCE],
            )
        },
        time(name("a copy: half within"), &inference.p50, &copy.p50),
        Row {
            margin: Some(EXACTLY_ONCE_LAST),
            ..time(name("a copy: 99 % within"), &inference.p99, &copy.p99)
        },
        Row {
            target: Some(CPU),
            ..cost(name("a copy: CPU"), &inference.cpu, &copy.cpu)
        },
    ]
}

fn time(name: String, values: &[f64], floors: &[f64]) -> Row {
    Row::new(name, "ms", Better::Lower, values, floors)
}

fn cost(name: String, values: &[f64], floors: &[f64]) -> Row {
    Row::new(name, "CPU µs/record", Better::Lower, values, floors)
}
