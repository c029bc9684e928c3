//! The playground in a real browser: what tests/browser asks of it.

use std::path::PathBuf;

use millrace_harness::{Kafka, Millrace, root};

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_works_in_a_browser() {
    let page = root().join("api/web/dist/index.html");
    assert!(
        page.exists(),
        "the playground is not built: run `make web` first"
    );
    let chromium = chromium().display().to_string();
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    let url = millrace.url().to_owned();
    let outcome = tokio::task::spawn_blocking(move || {
        millrace_harness::node(
            "tests/browser",
            &["--test", "playground.spec.mjs"],
            &[("MILLRACE_URL", &url), ("MILLRACE_CHROMIUM", &chromium)],
        )
    });
    let said = outcome
        .await
        .unwrap()
        .unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("pass 4"), "{said}");
}

/// The browser that `MILLRACE_CHROMIUM` names, else one of the system's.
fn chromium() -> PathBuf {
    if let Some(named) = std::env::var_os("MILLRACE_CHROMIUM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
        .expect("no Chromium: `make test` names the lines that install it")
}
