//! Who may import whom, who owns which outside crate, and where `unsafe` may stand: what ARCHITECTURE.md
//! says, held against the manifests and the sources.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may import of ours, in its product and in its tests alike, but for the harness, which
/// everybody's tests may use. Tests and examples import what they like.
const IMPORTS: &[(&str, &[&str])] = &[
    ("millrace-wire", &[]),
    ("millrace-aws", &[]),
    ("millrace-kafka", &["aws"]),
    ("millrace-onnx", &[]),
    ("millrace-artifacts", &[]),
    ("millrace-entity", &[]),
    ("millrace-migration", &[]),
    ("millrace-engine", &["onnx"]),
    ("millrace-runtime", &["artifacts", "aws", "kafka", "wire"]),
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
        &[
            "artifacts",
            "aws",
            "entity",
            "kafka",
            "migration",
            "onnx",
            "wire",
        ],
    ),
];

/// Outside crates that only some of ours may touch.
const OWNERS: &[(&str, &[&str])] = &[
    ("async-graphql", &["millrace"]),
    ("aws-sigv4", &["millrace-aws"]),
    ("aws-msk-iam-sasl-signer", &["millrace-kafka"]),
    ("lambda_runtime", &["millrace-runtime"]),
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

/// Where `unsafe` may stand, from the root. Everywhere else the compiler denies it.
const UNSAFE: &[&str] = &[
    "functions/engine/src/flush.rs",
    "functions/engine/src/kernels/instructions.rs",
    "functions/engine/src/kernels/instructions/vector.rs",
    "functions/engine/src/kernels/matrix.rs",
    "functions/engine/src/kernels/product_tiles.rs",
    "functions/kafka/src/ffi.rs",
];

/// A package of this workspace.
struct Member {
    name: String,
    folder: PathBuf,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    is_for_tests: bool,
}

impl Member {
    /// Tests and examples stand outside the table: they may use everything.
    fn is_product(&self) -> bool {
        let from_root = self.folder.strip_prefix(millrace_harness::root()).unwrap();
        !from_root.starts_with("tests") && !from_root.starts_with("examples")
    }
}

/// The workspace as cargo sees it. (The crate `cargo_metadata` would switch on a feature of `serde_json` for
/// tests alone, and so have half of all crates compiled a second time.)
fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version=1",
        ])
        .current_dir(millrace_harness::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependency = |value: &Value| Dependency {
        name: text(&value["name"]),
        is_for_tests: value["kind"] == "dev",
    };
    let member = |value: &Value| Member {
        name: text(&value["name"]),
        folder: Path::new(value["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .to_path_buf(),
        dependencies: value["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(dependency)
            .collect(),
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(member)
        .collect()
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
    let ours: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let product: Vec<&Member> = members
        .iter()
        .filter(|member| member.is_product())
        .collect();
    let names: BTreeSet<&str> = product.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(
        names,
        table.keys().copied().collect(),
        "the table names every crate and no other"
    );

    let mut forbidden = Vec::new();
    for member in product {
        for Dependency { name, is_for_tests } in &member.dependencies {
            let is_harness = *is_for_tests && name == "millrace-harness";
            let is_allowed = is_harness || table[member.name.as_str()].contains(name);
            if ours.contains(name.as_str()) && !is_allowed {
                forbidden.push(format!("{} must not import {name}", member.name));
            }
        }
    }
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn outside_crates_are_touched_only_by_their_owners() {
    let owners: BTreeMap<&str, &[&str]> = OWNERS.iter().copied().collect();
    let mut forbidden = Vec::new();
    for member in members().iter().filter(|member| member.is_product()) {
        for Dependency { name, is_for_tests } in &member.dependencies {
            let Some(owners) = owners.get(name.as_str()) else {
                continue;
            };
            if !is_for_tests && !owners.contains(&member.name.as_str()) {
                forbidden.push(format!(
                    "{} must not import {name}: only {owners:?} may",
                    member.name
                ));
            }
        }
    }
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for member in members() {
        let manifest = fs::read_to_string(member.folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true\n"),
            "{} does not",
            member.name
        );
    }
}

/// The lint is denied in the workspace, so that `unsafe` stands exactly where the lint is named.
#[test]
fn unsafe_is_allowed_only_where_it_may_stand() {
    let lint = concat!("unsafe", "_code");
    let root = millrace_harness::root();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(
        workspace.contains(&format!("{lint} = \"deny\"")),
        "the workspace denies it"
    );

    let mut named_in = BTreeSet::new();
    for member in members() {
        for file in rust_files(&member.folder) {
            if fs::read_to_string(&file).unwrap().contains(lint) {
                named_in.insert(file.strip_prefix(&root).unwrap().to_path_buf());
            }
        }
    }
    assert_eq!(named_in, UNSAFE.iter().map(PathBuf::from).collect());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
