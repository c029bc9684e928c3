//! The local platform with functions that are shell scripts.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millrace_wire::function::{Connection, Control, FunctionSpec, Role, TrainingPool};
use millrace_wire::samples::{Expected, Tolerance};
use millrace_wire::trial::{Outcome, Trial, Work};
use rustix::process::{Pid, test_kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::super::{Changes, Deployment, Owner, Platform, State, Status};
use super::{LocalPlatform, Pauses, Settings};

const LIMIT: Duration = Duration::from_secs(20);
const POOL: Owner = Owner::TrainingPool;

/// Works until it is told to end, or until its parent is gone.
const WORKS: &str = "(cat <&3; kill -9 $$) &
trap 'echo ending in order; kill $!; exit 0' TERM; echo at work; wait";

fn platform(folder: &Path, script: &str) -> LocalPlatform {
    LocalPlatform::new(settings(folder, script), Changes::default())
}

fn settings(folder: &Path, script: &str) -> Settings {
    let binary = folder.join("function");
    fs::write(&binary, format!("#!/bin/sh\nexec 3<&0\n{script}\n")).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    Settings {
        training: binary,
        inference: "/nonexistent/function".into(),
        onnxruntime: Some("/nonexistent/library".into()),
        training_slots: 2,
        log: "info".to_owned(),
        logs: folder.to_path_buf(),
        grace: Duration::from_secs(10),
        trial: LIMIT,
        pauses: Pauses {
            first: Duration::from_millis(10),
            longest: Duration::from_secs(20),
        },
        client: reqwest::Client::new(),
    }
}

fn spec(ordinal: u32) -> FunctionSpec {
    let control = Control {
        connection: Connection::new(),
        events_topic: Some("events".into()),
        registry_topic: "registry".into(),
    };
    let role = Role::Training(TrainingPool {
        topic: "training".into(),
        group: "group".into(),
        memory_bytes: 1,
        scratch_folder: None,
        slice_ms: None,
    });
    FunctionSpec::new(control, "file:///a".into(), String::new(), ordinal, role)
}

fn these(functions: Vec<FunctionSpec>) -> Deployment {
    Deployment {
        functions,
        ..Deployment::default()
    }
}

/// Waits until the functions are as wanted.
async fn until(platform: &LocalPlatform, wanted: impl Fn(&[Status]) -> bool) -> Vec<Status> {
    let mut changes = platform.changes.subscribe();
    let start = Instant::now();
    loop {
        let functions = platform.functions().await;
        if wanted(&functions) {
            return functions;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain: {functions:?}");
        let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
    }
}

async fn until_said(platform: &LocalPlatform, ordinal: u32, text: &str) {
    let start = Instant::now();
    while !said(platform, ordinal).await.contains(text) {
        assert!(start.elapsed() < LIMIT, "nobody said {text:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn said(platform: &LocalPlatform, ordinal: u32) -> String {
    platform.log(POOL, ordinal, usize::MAX).await.join("\n")
}

fn exists(process: u32) -> bool {
    let id = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    test_kill_process(id).is_ok()
}

async fn until_gone(process: u32) {
    let start = Instant::now();
    while exists(process) {
        assert!(start.elapsed() < LIMIT, "process {process} lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn deploying_again_changes_only_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), WORKS);
    platform
        .deploy(POOL, these(vec![spec(0), spec(1)]))
        .await
        .unwrap();
    let before = until(&platform, |all| {
        all.iter().all(|one| one.process_id.is_some())
    })
    .await;
    assert_eq!(before.len(), 2);

    platform
        .deploy(POOL, these(vec![spec(0), spec(1)]))
        .await
        .unwrap();
    assert_eq!(platform.functions().await, before);

    until_said(&platform, 1, "at work").await;
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let after = platform.functions().await;
    assert_eq!(after[..], before[..1]);
    assert!(!exists(before[1].process_id.unwrap()));
    let ended = fs::read_to_string(folder.path().join("training-1.log")).unwrap();
    assert!(ended.contains("ending in order"), "{ended}");

    let mut other = spec(0);
    other.artifacts = "file:///b".into();
    platform.deploy(POOL, these(vec![other])).await.unwrap();
    until(&platform, |all| {
        all[0].process_id.is_some() && all[0].process_id != before[0].process_id
    })
    .await;

    platform.remove(POOL).await.unwrap();
    assert!(platform.functions().await.is_empty());
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "only the script itself is left");
}

#[tokio::test]
async fn a_function_runs_once_it_says_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), WORKS);
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let starting = until(&platform, |all| all[0].address.is_some()).await;
    assert_eq!(starting[0].state, State::Starting);

    // The script has no server: the test answers in its place.
    let address = starting[0].address.clone().unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        for answer in ["503 Service Unavailable", "200 OK"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let answer =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    until(&platform, |all| all[0].state == State::Running).await;
    platform.shutdown().await;
}

#[tokio::test]
async fn one_that_ends_by_itself_is_started_again_after_growing_pauses() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), "echo once; exit 1");
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let functions = until(&platform, |all| {
        all[0].state == State::BackingOff && all[0].restarts >= 3
    })
    .await;
    let last = functions[0].last_exit.as_deref().unwrap();
    assert!(last.starts_with("ended with code 1 after"), "{last}");
    assert_eq!(functions[0].process_id, None);
    let said = said(&platform, 0).await;
    assert!(said.matches("once").count() >= 4, "{said}");
    assert!(said.contains("it is started again in"), "{said}");
    platform.shutdown().await;
}

#[tokio::test]
async fn one_in_whose_place_another_works_stays_away_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), "exit 3");
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let functions = until(&platform, |all| all[0].state == State::BackingOff).await;
    assert_eq!(functions[0].restarts, 0);
    let said = said(&platform, 0).await;
    let pause: f64 = said
        .split_once("again in ")
        .and_then(|(_, rest)| rest.split_once(" s"))
        .and_then(|(seconds, _)| seconds.parse().ok())
        .unwrap();
    assert!(pause >= 15.0, "{said}");
    platform.shutdown().await;
}

#[tokio::test]
async fn one_that_a_new_start_cannot_help_waits_for_another_specification() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), "exit 2");
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let functions = until(&platform, |all| all[0].state == State::Stopped).await;
    assert!(
        functions[0]
            .last_exit
            .as_deref()
            .unwrap()
            .contains("malformed")
    );
    platform.shutdown().await;
}

#[tokio::test]
async fn a_missing_binary_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut platform = platform(folder.path(), "");
    fs::remove_file(folder.path().join("function")).unwrap();
    std::sync::Arc::get_mut(&mut platform.settings)
        .unwrap()
        .training = "/nonexistent/training".into();
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    let functions = until(&platform, |all| all[0].state == State::BackingOff).await;
    let last = functions[0].last_exit.as_deref().unwrap();
    assert!(last.contains("/nonexistent/training"), "{last}");
    platform.shutdown().await;
}

#[tokio::test]
async fn one_that_does_not_end_in_time_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut platform = platform(
        folder.path(),
        "trap '' TERM; echo deaf; while :; do sleep 1; done",
    );
    std::sync::Arc::get_mut(&mut platform.settings)
        .unwrap()
        .grace = Duration::from_millis(100);
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    until_said(&platform, 0, "deaf").await;
    let process = platform.functions().await[0].process_id.unwrap();
    platform.shutdown().await;
    assert!(!exists(process));
    assert!(platform.deploy(POOL, these(vec![spec(0)])).await.is_err());
}

/// In an ordinary run this does nothing: it is the parent that the next test kills.
#[tokio::test]
async fn the_parent_that_is_killed() {
    let Ok(folder) = std::env::var("TEST_PARENT_FOLDER") else {
        return;
    };
    let platform = platform(folder.as_ref(), WORKS);
    platform.deploy(POOL, these(vec![spec(0)])).await.unwrap();
    until_said(&platform, 0, "at work").await;
    let process = platform.functions().await[0].process_id.unwrap();
    let mut output = tokio::io::stdout();
    output
        .write_all(format!("\nfunction {process}\n").as_bytes())
        .await
        .unwrap();
    output.flush().await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_function_is_gone_when_its_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let parent = "platform::local::tests::the_parent_that_is_killed";
    let mut parent = tokio::process::Command::from({
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", parent, "--nocapture"]);
        command.env("TEST_PARENT_FOLDER", folder.path());
        command.stdout(Stdio::piped());
        command
    })
    .kill_on_drop(true)
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let function: u32 = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(id) = line.strip_prefix("function ") {
            break id.parse().unwrap();
        }
    };
    assert!(exists(function));
    parent.kill().await.unwrap();
    until_gone(function).await;
}

#[tokio::test]
async fn a_trial_is_a_process_that_ends_with_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let work = Work::Samples {
        digest: "the-model".into(),
        samples: Expected {
            digest: "the-samples".into(),
            size: 1,
            count: 0,
            tolerance: Tolerance::default(),
        },
    };
    let trial = Trial::new("file:///a".into(), work);
    let inference = |script: &str| {
        let mut settings = settings(folder.path(), script);
        settings.inference.clone_from(&settings.training);
        settings
    };
    let refused = async |settings| {
        let tried = LocalPlatform::new(settings, Changes::default())
            .try_out(&trial)
            .await;
        tried.unwrap_err()
    };

    let agrees = inference(
        r#"read line; [ "$1" = try ] || exit 9
case "$line" in *the-model*the-samples*) echo '{"outcome":"agrees","count":3}';; esac"#,
    );
    let outcome = LocalPlatform::new(agrees, Changes::default())
        .try_out(&trial)
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Agrees { count: 3 });

    let fails = refused(inference("echo it broke >&2; exit 4")).await;
    assert!(
        fails.contains("exit status: 4") && fails.contains("it broke"),
        "{fails}"
    );
    let silent = refused(inference("exit 0")).await;
    assert!(silent.contains("outcome of a trial"), "{silent}");
    let missing = refused(settings(folder.path(), "exit 0")).await;
    assert!(missing.contains("cannot be started"), "{missing}");
    let endless = Settings {
        trial: Duration::from_millis(50),
        ..inference("exec sleep 600")
    };
    let endless = refused(endless).await;
    assert!(
        endless.contains("has not answered within 50ms"),
        "{endless}"
    );
}
