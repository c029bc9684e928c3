//! The life of an inference, from outside: the real API, functions and Kafka.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_harness::{Kafka, Process, free_port, onnxruntime, unique, wait_until};
use millrace_kafka::{Admin, Connection, GroupOffset, OutRecord, Producer};
use serde_json::{Value, json};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(1);
const NAME: &str = "digits";

/// Millrace on one machine, with a folder and a prefix of its own.
struct Millrace {
    process: Process,
    folder: TempDir,
    prefix: String,
    url: String,
}

impl Millrace {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = unique("inference");
        let listen = format!("127.0.0.1:{}", free_port());
        Self {
            process: run(&folder, &prefix, &listen),
            url: format!("http://{listen}/graphql"),
            folder,
            prefix,
        }
    }

    fn start_again(&mut self) {
        let listen = self.url.trim_start_matches("http://");
        let listen = listen.trim_end_matches("/graphql").to_owned();
        self.process = run(&self.folder, &self.prefix, &listen);
    }

    /// What an operation answers; errors as they came.
    async fn try_ask(&self, query: &str, variables: Value) -> Result<Value, String> {
        let answer = reqwest::Client::new()
            .post(&self.url)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        match &answer["errors"] {
            Value::Null => Ok(answer["data"].clone()),
            errors => Err(errors.to_string()),
        }
    }

    async fn ask(&self, query: &str, variables: Value) -> Value {
        self.try_ask(query, variables).await.unwrap()
    }

    async fn inference(&self) -> Result<Value, String> {
        let query = "query($name: String!) { project { inference(name: $name) {
            state message outputTopic deadLetterTopic consumerGroup readersMustUse
            functions { processId state } } } }";
        let data = self.try_ask(query, json!({ "name": NAME })).await?;
        Ok(data["project"]["inference"].clone())
    }

    async fn until(&self, state: &str) -> Value {
        wait_until(&format!("the inference is {state}"), LIMIT, async || {
            let found = self.inference().await?;
            if found["state"] == state {
                Ok(found)
            } else {
                Err(found.to_string())
            }
        })
        .await
    }
}

fn run(folder: &TempDir, prefix: &str, listen: &str) -> Process {
    let environment = [
        (
            "MILLRACE_KAFKA__BOOTSTRAP_SERVERS",
            Kafka::shared().bootstrap_servers().to_owned(),
        ),
        ("MILLRACE_KAFKA__PREFIX", prefix.to_owned()),
        ("MILLRACE_HTTP__LISTEN", listen.to_owned()),
        (
            "MILLRACE_DATA__FOLDER",
            folder.path().to_string_lossy().into_owned(),
        ),
        (
            "MILLRACE_ONNXRUNTIME__LIBRARY",
            onnxruntime().to_string_lossy().into_owned(),
        ),
    ];
    let mut process = Process::start("millrace", ["up"], environment);
    process.wait_for("listens on", LIMIT);
    process
}

/// A model, a datasource with three records in one partition, and an inference that starts now.
async fn create(millrace: &Millrace, admin: &Admin, connection: &Connection) -> (String, String) {
    let (input, output) = (unique("input"), unique("output"));
    millrace
        .ask(
            "mutation($input: String!) {
                createModel(input: { name: \"digits\", inputShape: [4],
                    layers: [{ dense: { units: 2, activation: SOFTMAX } }] }) { version { number } }
                setAlias(input: { model: \"digits\", alias: \"champion\", version: 1 }) { alias { name } }
                createDatasource(input: { name: \"digits\", topic: $input, createTopic: { partitions: 2 },
                    format: { raw: { dtype: UINT8, shape: [4] } } }) { datasource { name } }
            }",
            json!({ "input": input }),
        )
        .await;
    let producer = Producer::new(connection).unwrap();
    for _ in 0..3 {
        let record = OutRecord::to(&input).partition(1).value(&[1, 2, 3, 4]);
        producer.send_and_wait(&record).unwrap().await.unwrap();
    }
    assert_eq!(admin.watermarks(&input).unwrap()[1].high, 3);
    millrace
        .ask(
            "mutation($output: String!) { createInference(input: { name: \"digits\",
                datasource: \"digits\", model: \"digits\", alias: \"champion\",
                outputTopic: $output, replicas: 2 }) { inference { state } } }",
            json!({ "output": output }),
        )
        .await;
    (input, output)
}

fn processes(inference: &Value) -> Vec<u64> {
    let functions = inference["functions"].as_array().unwrap();
    functions
        .iter()
        .map(|function| function["processId"].as_u64().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_lives_through_the_end_of_the_api_and_leaves_nothing() {
    let connection = Connection::new(Kafka::shared().client_properties());
    let admin = Admin::new(&connection).unwrap();
    let mut millrace = Millrace::start();
    let (input, output) = create(&millrace, &admin, &connection).await;

    let running = millrace.until("RUNNING").await;
    assert_eq!(running["readersMustUse"], "isolation.level=read_committed");
    let group = running["consumerGroup"].as_str().unwrap().to_owned();
    let dead_letters = running["deadLetterTopic"].as_str().unwrap().to_owned();
    assert!(group.starts_with(&millrace.prefix) && dead_letters.starts_with(&millrace.prefix));
    // It begins behind what was there: nothing is answered, and nothing is left to answer.
    let positions = |offsets: Vec<GroupOffset>| -> Vec<(i32, i64)> {
        offsets
            .iter()
            .map(|offset| (offset.partition, offset.offset))
            .collect()
    };
    let committed = admin.committed(&group, &input).unwrap();
    assert_eq!(positions(committed), [(0, 0), (1, 3)]);
    let room = |topic: &str| admin.describe_topic(topic).unwrap().max_message_bytes;
    assert!(room(&dead_letters) > room(&input) && room(&output) > room(&input));
    assert_eq!(admin.partitions(&output).unwrap(), 2);

    // Killed without a word: its functions go with it, and the next one puts them back.
    let before = processes(&running);
    assert_eq!(before.len(), 2);
    millrace.process.kill();
    for process in &before {
        wait_until("the functions are gone", LIMIT, async || {
            // One that nobody has waited for yet (Z) has ended as well.
            match std::fs::read_to_string(format!("/proc/{process}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        })
        .await;
    }
    millrace.start_again();
    let after = millrace.until("RUNNING").await;
    assert!(processes(&after).iter().all(|id| !before.contains(id)));

    // At rest and back, at the same offsets, without what was noted of the registry: whoever begins
    // reads all of it.
    let producer = Producer::new(&connection).unwrap();
    let record = OutRecord::to(&input).partition(1).value(&[1, 2, 3, 4]);
    producer.send_and_wait(&record).unwrap().await.unwrap();
    wait_until("the record is answered", LIMIT, async || {
        match admin.committed(&group, &input) {
            Ok(offsets) if offsets[1].offset == 4 && !offsets[1].metadata.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let by_name = json!({ "name": NAME });
    let stop = "mutation($name: String!) { stopInference(input: { name: $name }) { inference { state } } }";
    millrace.ask(stop, by_name.clone()).await;
    millrace.until("STOPPED").await;
    let refused = millrace.try_ask(stop, by_name.clone()).await.unwrap_err();
    assert!(refused.contains("ILLEGAL_STATE"), "{refused}");
    let start = "mutation($name: String!) { startInference(input: { name: $name }) { inference { state } } }";
    millrace.ask(start, by_name.clone()).await;
    millrace.until("RUNNING").await;
    let committed = admin.committed(&group, &input).unwrap();
    assert!(committed.iter().all(|offset| offset.metadata.is_empty()));
    assert_eq!(positions(committed), [(0, 0), (1, 4)]);

    // Gone, with what Millrace made for it, and nothing else: not even what somebody else made under
    // the name of its output.
    millrace.ask(stop, by_name.clone()).await;
    millrace.until("STOPPED").await;
    admin.delete_topics(&[output.as_str()]).unwrap();
    admin.create_topic(&output, 1, 1, &BTreeMap::new()).unwrap();
    let delete = "mutation($name: String!) { deleteInference(input: { name: $name }) { name } }";
    millrace.ask(delete, by_name).await;
    wait_until("the inference is gone", LIMIT, async || {
        let found = millrace.inference().await?;
        if found.is_null() {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
    let topics = admin.topics().unwrap();
    assert!(topics.contains(&input), "the input is somebody else's");
    assert!(
        topics.contains(&output),
        "the output is somebody else's now"
    );
    assert!(!topics.contains(&dead_letters));
    assert!(admin.committed(&group, &input).unwrap().is_empty());

    millrace.process.terminate();
    assert!(millrace.process.wait(LIMIT).success());
}
