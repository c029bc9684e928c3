//! A disk of a few MiB: a tmpfs in a mount namespace of its own, which goes away with its test.

use std::path::Path;
use std::process::Command;

/// Tells the second run of a test where its disk is.
const INSIDE: &str = "MILLRACE_TEST_SMALL_DISK";

/// Runs `inside` with the folder of an empty disk of so many MiB. For that, the calling test, which is
/// named `test` as its binary lists it, is started once more where it may mount one.
pub fn on_small_disk(mebibytes: u32, test: &str, inside: impl FnOnce(&Path)) {
    if let Ok(folder) = std::env::var(INSIDE) {
        return inside(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = r#"mount -t tmpfs -o "size=$1m" none "$0" && exec "$2" --exact "$3""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.path())
        .arg(mebibytes.to_string())
        .arg(std::env::current_exe().expect("the test's own binary"))
        .arg(test)
        .env(INSIDE, folder.path())
        .output()
        .expect("unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
