//! Holds docs/configuration.md to the tree: each key in a row of its own, with its variable and
//! its default, and no row without a key.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;

/// A key that the tree does not have.
const NONE: &str = "no_such_key";

#[test]
fn every_key_is_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("## Every key").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[1].trim_matches('`'), cells))
        .collect();

    let mut keys = Vec::new();
    find_keys(&mut Vec::new(), &mut keys);
    assert!(keys.contains(&"platform.local.binaries".to_owned()));
    let defaults = Table::try_from(Config::shape()).unwrap();
    for key in &keys {
        let row = rows
            .get(key.as_str())
            .unwrap_or_else(|| panic!("docs/configuration.md lacks `{key}`"));
        let variable = format!("`MILLRACE_{}", key.to_ascii_uppercase().replace('.', "__"));
        assert!(row[2].starts_with(&variable), "{key}: {}", row[2]);
        if let Some(default) = default(&defaults, key) {
            assert_eq!(row[3], format!("`{default}`"), "{key}");
        }
        assert!(!row[4].is_empty(), "{key} has no meaning");
    }
    for documented in rows.keys() {
        assert!(
            keys.iter().any(|key| key == documented),
            "there is no key `{documented}`"
        );
    }
}

/// Collects the keys below a path. The tree's own refusal of an unknown key names those that it has.
fn find_keys(path: &mut Vec<String>, keys: &mut Vec<String>) {
    let mut tree = Value::Table(Table::from_iter([(NONE.to_owned(), Value::Integer(1))]));
    for key in path.iter().rev() {
        tree = Value::Table(Table::from_iter([(key.clone(), tree)]));
    }
    let refusal = match tree.try_into::<Config>() {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    let unknown = format!("unknown field `{NONE}`");
    let Some(expected) = refusal.split(&unknown).nth(1) else {
        keys.push(path.join("."));
        return;
    };
    // Names stand between backticks.
    let expected = expected.lines().next().unwrap();
    for name in expected.split('`').skip(1).step_by(2) {
        path.push(name.to_owned());
        find_keys(path, keys);
        path.pop();
    }
}

/// The default of a key that has one.
fn default(defaults: &Table, key: &str) -> Option<String> {
    let mut names = key.split('.');
    let first = defaults.get(names.next()?)?;
    match names.try_fold(first, |value, name| value.get(name))? {
        Value::Table(_) => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}
