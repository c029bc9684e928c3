//! The bench itself, on few records: it runs to its end, and its results are what their readers expect.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use millrace_harness::{Kafka, Process, cache, onnxruntime};
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(10);

#[test]
fn a_quick_run_writes_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results/latest.json");
    let environment = [
        (
            "MILLRACE_TEST_KAFKA",
            OsString::from(Kafka::shared().bootstrap_servers()),
        ),
        ("MILLRACE_CACHE", cache().into()),
        ("MILLRACE_ONNXRUNTIME__LIBRARY", onnxruntime().into()),
    ];
    let arguments = ["--quick", "--output", file.to_str().unwrap()];
    let mut bench = Process::start("millrace-bench", arguments, environment);
    let status = bench.wait(LIMIT);
    let said = bench.lines().join("\n");
    assert!(status.success(), "{said}");

    let results: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(results["machine"].as_str().unwrap().contains("cores"));
    let rows = results["rows"].as_array().unwrap();
    let names: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), rows.len(), "{said}");
    for (subject, count) in [
        ("training step, ", 32),
        ("inference, 8-16-2, ", 5),
        ("inference, MLP 784-128-10, ", 5),
    ] {
        let found = names.iter().filter(|name| name.starts_with(subject));
        assert_eq!(found.count(), count, "{subject}: {said}");
    }
    for row in rows {
        let number = |field: &str| row[field].as_f64().unwrap();
        assert!(number("value") > 0.0 && number("floor") > 0.0, "{row}");
        let ratio = number("value") / number("floor");
        assert!((number("ratio") - ratio).abs() < 1e-9, "{row}");
        assert!(row["unit"].is_string(), "{row}");
        assert!(row["target"].is_null() || number("target") > 0.0, "{row}");
        let better = row["better"].as_str().unwrap();
        assert!(["higher", "lower"].contains(&better), "{row}");
        assert!(said.contains(row["name"].as_str().unwrap()), "{said}");
    }
    let targets = rows.iter().filter(|row| row["target"].is_number());
    assert_eq!(targets.count(), 3);
}
