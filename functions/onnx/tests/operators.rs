//! The table of operators in the documentation, which is made of the code and of the cases that hold it.
//!
//! `MILLRACE_WRITE_DOCS=1` writes the table anew.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use millrace_onnx::proto::NodeProto;
use millrace_onnx::{Loss, Lowering, Optimizer, StepGraph, StepOptions, check, fast, operators};

use cases::Case;

/// What the cases show of an operator.
#[derive(Default)]
struct Shown {
    /// Whether a gradient passes it in one of them.
    has_gradient: bool,
    /// Whether its gradient has a form of the fast lowering.
    is_fast: bool,
}

#[test]
fn the_table_of_operators_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let table = table();
    if std::env::var_os("MILLRACE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == table,
        "docs/operators.md is not what the code says: run `make operators` and commit it"
    );
}

#[test]
fn every_operator_has_a_case() {
    let shown = shown();
    let without: Vec<&str> = operators()
        .into_iter()
        .filter(|operator| !shown.contains_key(*operator))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

fn shown() -> BTreeMap<String, Shown> {
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    for case in cases::all() {
        let passed = check(&case.model, None).unwrap().passed;
        let fast = fast_gradients(&case);
        let nodes = case.model.graph().node.iter();
        let operators: BTreeSet<&str> = nodes.map(NodeProto::op_type).collect();
        for operator in operators {
            let of_operator = shown.entry(operator.to_owned()).or_default();
            of_operator.has_gradient |= passed.contains(operator);
            of_operator.is_fast |= fast.contains(operator);
        }
    }
    shown
}

/// The operators whose gradients have nodes of the fast lowering.
fn fast_gradients(case: &Case) -> BTreeSet<String> {
    let options = StepOptions {
        lowering: Lowering::Fast,
        ..StepOptions::new(Loss::MeanSquaredError, Optimizer::Sgd)
    };
    let step = StepGraph::build(&case.model, &options).unwrap();
    let nodes = step.step.graph().node.iter();
    let own = nodes.filter(|node| node.domain() == fast::DOMAIN);
    let own: Vec<&str> = own.map(NodeProto::name).collect();
    let nodes = case.model.graph().node.iter();
    let is_fast = |label: &str| {
        let prefixes = [format!("gradient/{label}/"), format!("training/{label}/")];
        own.iter()
            .any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    };
    nodes
        .filter(|node| is_fast(node.label()))
        .map(|node| node.op_type().to_owned())
        .collect()
}

fn table() -> String {
    let shown = shown();
    let mut table = "\
# Operators
What Millrace trains through. `make operators` writes this page from the code and its tests.

- A **gradient** passes an operator where its derivative is known. Every case is a small model with one form of the operator
  (its attributes, broadcasting, a batch of any size, …). In each, all gradients are held against central differences in
  float64 (relative error at most 1e-6), and the step that ONNX Runtime computes in float32 against the same step in float64
  (at most 1e-5).
- Operators **without a gradient** give whole numbers, truth values or constants; what they compute is held against ONNX
  Runtime in the same way.
- The **standard** lowering has operators of the ONNX standard only; the **fast** one also some of Millrace's own.
- What is not here, and forms that are refused, are named by `millrace onnx check` with what would help.

| operator | supported | lowerings | tested how |
| --- | --- | --- | --- |
"
    .to_owned();
    for operator in operators() {
        let nothing = Shown::default();
        let shown = shown.get(operator).unwrap_or(&nothing);
        let supported = if shown.has_gradient {
            "with its gradient"
        } else {
            "without a gradient"
        };
        let lowerings = if shown.is_fast {
            "standard, fast"
        } else {
            "standard"
        };
        let tested = if shown.has_gradient {
            "gradients against differences, step on ONNX Runtime"
        } else {
            "values on ONNX Runtime"
        };
        writeln!(
            table,
            "| {operator} | {supported} | {lowerings} | {tested} |"
        )
        .unwrap();
    }
    table
}
