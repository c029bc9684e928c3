//! The first start of `millrace up`: what it checks before anything runs, and that its log is quiet
//! where nothing is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use millrace_harness::{Kafka, Millrace, Postgres, Process, free_port, onnxruntime, unique};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;

const DATABASE: &str = "MILLRACE_DATABASE__URL";
const WAITS: &str = "another Millrace works on this database";

#[tokio::test(flavor = "multi_thread")]
async fn without_onnx_runtime_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (library, expected) in [
        (None, "MILLRACE_ONNXRUNTIME__LIBRARY"),
        (Some("/no/such/library.so"), "/no/such/library.so"),
    ] {
        let mut environment = vec![
            ("MILLRACE_DATA__FOLDER", data.display().to_string()),
            (
                "MILLRACE_HTTP__LISTEN",
                format!("127.0.0.1:{}", free_port()),
            ),
        ];
        let library = library.map(|path| ("MILLRACE_ONNXRUNTIME__LIBRARY", path.to_owned()));
        environment.extend(library);
        let mut process = Process::start("millrace", ["up"], environment);
        let said = process.wait_for("onnxruntime.library is wrong", crate::LIMIT);
        assert!(said.contains(expected), "{said}");
        assert!(!process.wait(crate::LIMIT).success());
        assert!(!data.exists(), "nothing is made before the check");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_millrace_has_is_left_alone() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    let free = format!("127.0.0.1:{}", free_port());
    let taken = millrace.url().trim_start_matches("http://").to_owned();
    for (address, expected) in [
        (taken, "choose an address with MILLRACE_HTTP__LISTEN"),
        (free, "name another folder with MILLRACE_DATA__FOLDER"),
    ] {
        let environment = [
            ("MILLRACE_HTTP__LISTEN", address),
            (
                "MILLRACE_DATA__FOLDER",
                millrace.folder().display().to_string(),
            ),
            (
                "MILLRACE_ONNXRUNTIME__LIBRARY",
                onnxruntime().display().to_string(),
            ),
        ];
        let mut second = Process::start("millrace", ["up"], environment);
        second.wait_for(expected, crate::LIMIT);
        assert!(!second.wait(crate::LIMIT).success());
    }
    let projects = "query Projects { projects { totalCount } }";
    millrace.execute(projects, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_millrace_works_on_a_database() {
    let kafka = Kafka::shared();
    let postgres = Postgres::start();
    let files = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/shared.db?mode=rwc", files.path().display());
    replace(postgres.url()).await;
    let mut second = replace(&sqlite).await;

    let mut third = Millrace::launch(kafka, &[(DATABASE, sqlite)]);
    let refused = "end it, or name another database with MILLRACE_DATABASE__URL";
    third.process().wait_for(refused, crate::LIMIT);
    assert!(!third.process().wait(crate::LIMIT).success());
    assert!(second.process().running());
}

/// A Millrace that took the place of one that worked on the database and was killed.
async fn replace(url: &str) -> Millrace {
    let database = [(DATABASE, url.to_owned())];
    let mut first = Millrace::start(Kafka::shared(), &database).await;
    let mut second = Millrace::launch(Kafka::shared(), &database);
    second.process().wait_for(WAITS, crate::LIMIT);
    first.process().kill();
    second.ready().await;
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn a_millrace_whose_database_was_taken_ends() {
    let kafka = Kafka::shared();
    let postgres = Postgres::start();
    let database = [(DATABASE, postgres.url().to_owned())];
    let mut first = Millrace::start(kafka, &database).await;
    let mut second = Millrace::launch(kafka, &database);
    second.process().wait_for(WAITS, crate::LIMIT);

    // As a machine that nobody reaches: PostgreSQL ends its sessions, and it does not know.
    first.process().signal("STOP");
    let sessions = Database::connect(postgres.url()).await.unwrap();
    sessions
        .execute_unprepared(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await
        .unwrap();
    second.ready().await;
    first.process().signal("CONT");
    let lost = "another Millrace has taken the database";
    first.process().wait_for(lost, crate::LIMIT);
    assert!(!first.process().wait(crate::LIMIT).success());
    assert!(second.process().running());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_is_quiet_and_keeps_its_data_to_its_user() {
    let kafka = Kafka::shared();
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let folder = ("MILLRACE_DATA__FOLDER", data.display().to_string());
    let mut millrace = Millrace::start(kafka, &[folder]).await;
    // A training's end arrives by the topic of events, so that is followed by now.
    let segment = crate::prepare(&millrace, &unique("training"), 1, 40).await;
    let ended = crate::train(&millrace, &segment, 1, None).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");

    let lines = millrace.process().lines();
    let of = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(of("ERROR") + of("WARN"), 0, "{lines:#?}");
    assert_eq!(of("migration"), 1, "{lines:#?}");

    let mut found = Vec::new();
    find(&data, &mut found);
    for (path, mode) in &found {
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
    // Of the database, of the model and what was trained, of the functions' logs.
    for part in ["millrace.db", "sha256", "functions/training-0.log"] {
        let is_there = found.iter().any(|(path, _)| {
            let path = path.strip_prefix(&data).unwrap().display().to_string();
            path.contains(part)
        });
        assert!(is_there, "{part} is not in {found:?}");
    }
}

/// A folder and all below it, with their permissions.
fn find(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
    let metadata = path.symlink_metadata().unwrap();
    found.push((path.to_owned(), metadata.permissions().mode() & 0o777));
    if metadata.is_dir() {
        for entry in path.read_dir().unwrap() {
            find(&entry.unwrap().path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn required_topics_that_are_missing_are_asked_for() {
    let kafka = Kafka::shared();
    let policy = ("MILLRACE_KAFKA__TOPICS", "require".to_owned());
    let mut millrace = Millrace::start(kafka, &[policy]).await;
    let prefix = millrace.prefix().to_owned();
    let said = millrace
        .process()
        .wait_for("the training pool waits", crate::LIMIT);
    for line in [
        format!("--topic {prefix}.registry --partitions 1 --config cleanup.policy=compact"),
        format!("--topic {prefix}.events --partitions 4"),
        format!("--topic {prefix}.training.dlq --partitions 4"),
        format!("--topic {prefix}.training --partitions 1"),
    ] {
        let asked = format!("`kafka-topics.sh --create {line}`");
        assert!(said.contains(&asked), "{said}\nlacks {asked}");
    }

    let topic = unique("training");
    let source = json!({"name": "points", "topic": topic, "partitions": 3});
    let (code, message) = millrace.refuse(crate::CREATE_DATASOURCE, source).await;
    assert_eq!(code, "TOPIC_NOT_FOUND");
    let asked = format!("`kafka-topics.sh --create --topic {topic} --partitions 3`");
    assert!(message.contains(&asked), "{message}");
}
