//! Who may import whom, who owns which outside crate, and where `unsafe` may stand: what ARCHITECTURE.md
//! says, held against the manifests and the sources.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What each crate may import of ours, in its product and in its tests alike, but for the harness, which
/// everybody's tests may use. Tests and examples import what they like.
const IMPORTS: &[(&str, &[&str])] = &[
    ("millrace-wire", &[]),
    ("millrace-kafka", &[]),
    ("millrace-onnx", &[]),
    ("millrace-artifacts", &[]),
    ("millrace-entity", &[]),
    ("millrace-migration", &[]),
    ("millrace-engine", &["onnx"]),
    ("millrace-runtime", &["artifacts", "kafka", "wire"]),
    (
        "millrace-training",
        &["artifacts", "engine", "kafka", "onnx", "runtime", "wire"],
    ),
    (
        "millrace-inference",
        &["artifacts", "engine", "onnx", "runtime", "wire"],
    ),
    (
        "millrace",
        &["artifacts", "entity", "kafka", "migration", "onnx", "wire"],
    ),
];

/// Outside crates that only some of ours may touch.
const OWNERS: &[(&str, &[&str])] = &[
    ("async-graphql", &["millrace"]),
    ("async-graphql-axum", &["millrace"]),
    ("object_store", &["millrace-artifacts"]),
    ("ort", &["millrace-engine"]),
    ("rdkafka", &["millrace-kafka"]),
    ("rdkafka-sys", &["millrace-kafka"]),
    (
        "sea-orm",
        &["millrace", "millrace-entity", "millrace-migration"],
    ),
    ("sea-orm-migration", &["millrace", "millrace-migration"]),
];

/// Where `unsafe` may stand, from the root.
const UNSAFE: &[&str] = &["functions/engine/src/kernels", "functions/kafka/src/ffi.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn members() -> Vec<Package> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned(), "--locked".to_owned()]);
    command.exec().unwrap().packages
}

/// Tests and examples stand outside the table: they may use everything.
fn is_product(package: &Package) -> bool {
    let manifest = package.manifest_path.strip_prefix(root()).unwrap();
    !manifest.starts_with("tests") && !manifest.starts_with("examples")
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<String>> = IMPORTS
        .iter()
        .map(|(name, imports)| {
            (
                *name,
                imports
                    .iter()
                    .map(|import| format!("millrace-{import}"))
                    .collect(),
            )
        })
        .collect();
    let members = members();
    let product: Vec<&Package> = members
        .iter()
        .filter(|package| is_product(package))
        .collect();

    let names: BTreeSet<&str> = product
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(
        names,
        table.keys().copied().collect(),
        "the table names every crate and no other"
    );

    let ours: BTreeSet<&str> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut forbidden = Vec::new();
    for package in product {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_harness =
                name == "millrace-harness" && dependency.kind == DependencyKind::Development;
            if ours.contains(name) && !is_harness && !table[package.name.as_str()].contains(name) {
                forbidden.push(format!("{} must not import {name}", package.name));
            }
        }
    }
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn outside_crates_are_touched_only_by_their_owners() {
    let mut forbidden = Vec::new();
    for package in members().iter().filter(|package| is_product(package)) {
        for dependency in &package.dependencies {
            let owners = OWNERS.iter().find(|(name, _)| *name == dependency.name);
            let is_test = dependency.kind == DependencyKind::Development;
            if let Some((name, owners)) = owners
                && !is_test
                && !owners.contains(&package.name.as_str())
            {
                forbidden.push(format!(
                    "{} must not import {name}: only {owners:?} may",
                    package.name
                ));
            }
        }
    }
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let mut found = Vec::new();
    for package in members() {
        let folder = package.manifest_path.parent().unwrap();
        for file in rust_files(folder.as_std_path()) {
            let path = file.strip_prefix(root()).unwrap();
            if UNSAFE.iter().any(|allowed| path.starts_with(allowed)) {
                continue;
            }
            for (index, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                if opens_unsafe(line) {
                    found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "unsafe outside {UNSAFE:?}:\n{found:#?}");
}

/// Whether a line has the keyword before something that it can make unsafe, outside a comment.
fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words: Vec<&str> = code.split_whitespace().collect();
    let follows = ["{", "fn", "impl", "trait", "extern"];
    words
        .windows(2)
        .any(|pair| pair[0].ends_with("unsafe") && follows.contains(&pair[1]))
        || words.last() == Some(&"unsafe")
        || code.contains("allow(unsafe_code")
}

#[test]
fn the_search_for_unsafe_finds_it() {
    for line in [
        "let x = unsafe { y() };",
        "unsafe impl Send for X {}",
        "pub unsafe fn f() {",
        "#![allow(unsafe_code)]",
    ] {
        assert!(opens_unsafe(line), "{line}");
    }
    for line in ["// unsafe { }", "let unsafety = 1;"] {
        assert!(!opens_unsafe(line), "{line}");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "node_modules" && name != "target" {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
