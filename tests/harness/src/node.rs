//! Programs of our own that run in Node, each in a folder with a `package.json`.

use std::path::Path;
use std::process::Command;

use crate::paths::{cache, root};

/// Runs Node in a folder of the checkout and returns what it said: `Err` where it failed. The packages
/// that the folder's lock file names are brought first, where they are not there.
///
/// # Errors
/// What it said where it failed, and why it cannot be run.
pub fn node(
    folder: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<String, String> {
    let folder = root().join(folder);
    bring_packages(&folder)?;
    let mut node = Command::new("node");
    node.args(arguments).envs(environment.iter().copied());
    run(node, &folder)
}

fn bring_packages(folder: &Path) -> Result<(), String> {
    let wanted = std::fs::read(folder.join("package-lock.json")).expect("it is committed");
    // A copy of what they were brought by, so that a newer lock file counts.
    let stamp = folder.join("node_modules/.lock");
    if std::fs::read(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefer-offline"])
        .arg("--cache")
        .arg(cache().join("npm"));
    run(npm, folder)?;
    std::fs::write(stamp, wanted).expect("npm has made the folder");
    Ok(())
}

fn run(mut command: Command, folder: &Path) -> Result<String, String> {
    let output = command
        .current_dir(folder)
        .output()
        .map_err(|error| format!("{command:?} cannot be run: {error}; `make setup` brings Node"))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
