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
    let (said, results) = run(&["--quick"], &[]);
    assert!(results["machine"].as_str().unwrap().contains("cores"));
    let rows = results["rows"].as_array().unwrap();
    let names: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), rows.len(), "{said}");
    for (subject, count) in [
        ("training step, ", 32),
        ("decoding, ", 9),
        ("inference, 8-16-2, ", 8),
        ("inference, MLP 784-128-10, ", 8),
        ("latency, 1,000 records a second, at least once ", 5),
        ("latency, 1,000 records a second, exactly once ", 4),
        ("memory, ", 2),
        ("start, ", 7),
        ("cold start, ", 3),
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
        for wanted in ["target", "margin"] {
            assert!(row[wanted].is_null() || number(wanted) > 0.0, "{row}");
        }
        let better = row["better"].as_str().unwrap();
        assert!(["higher", "lower"].contains(&better), "{row}");
        assert!(said.contains(row["name"].as_str().unwrap()), "{said}");
    }
    for (wanted, count) in [("target", 23), ("margin", 3)] {
        let rows = rows.iter().filter(|row| row[wanted].is_number());
        assert_eq!(rows.count(), count, "{wanted}");
    }
}

/// Of 60,000 records of 784 bytes, 45 MiB, next to nothing is in a process's own memory where they are to be in a file. All else
/// is the same in both runs.
#[test]
fn records_in_a_scratch_file_take_no_memory() {
    let anonymous = |memory_bytes| {
        let arguments = ["--records", "60000", "--memory-bytes", memory_bytes];
        let (_, results) = run(&[], &[&["large"], &arguments[..]].concat());
        results["rows"][0]["value"].as_f64().unwrap()
    };
    let (in_file, in_memory) = (anonymous("0"), anonymous("1000000000"));
    let records = 60_000.0 * 784.0 / f64::from(1 << 20);
    assert!(
        in_file < in_memory - 0.75 * records,
        "{in_file} MiB with a scratch file, {in_memory} MiB without one, for records of {records} MiB"
    );
}

/// What a run says and writes.
fn run(options: &[&str], role: &[&str]) -> (String, Value) {
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
    let output = ["--output", file.to_str().unwrap()];
    let arguments = [options, &output, role].concat();
    let mut bench = Process::start("millrace-bench", arguments, environment);
    let status = bench.wait(LIMIT);
    let said = bench.lines().join("\n");
    assert!(status.success(), "{said}");
    (
        said,
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap(),
    )
}
