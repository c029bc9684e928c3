//! An inference on AWS Lambda, as the API drives it: on a real Kafka, and an AWS of this file that holds what it is given.
//! (`make test-terraform` has the driver on moto's server; here it is the consumer groups that count.)

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, GroupOffset, OutRecord, Producer};
use serde_json::{Value, json};

use crate::models;
use crate::{LIMIT, connection};

const PREPARE: &str = r#"mutation Prepare($topic: String!, $input: String!, $output: String!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", version: 1, inputTopic: $input, outputTopic: $output,
    start: {offsets: [{partition: 0, offset: 3}]}, platform: "lambda", guarantee: AT_LEAST_ONCE, lambda: {memoryMib: 512}
  }) { inference { consumerGroup redriveTopic } }
}"#;

const MISPLACED: &str = r#"mutation Move { moveInference(input: {
  name: "points", platform: "local", lambda: {memoryMib: 512}
}) { inference { state } } }"#;

const CONNECT: &str = r#"mutation Connect($servers: String!, $prefix: String!) { createConnection(input: {
  name: "elsewhere", bootstrapServers: $servers, prefix: $prefix
}) { connection { name } } }"#;

const CREATE_ELSEWHERE: &str = r#"mutation Create($platform: String!, $input: String!, $output: String!) { createInference(input: {
  name: "elsewhere", connection: "elsewhere", datasource: "points", model: "points", version: 1, inputTopic: $input,
  outputTopic: $output, platform: $platform, guarantee: AT_LEAST_ONCE
}) { inference { state } } }"#;

const MOVE_ELSEWHERE: &str = r#"mutation Move { moveInference(input: {
  name: "elsewhere", platform: "lambda"
}) { inference { state } } }"#;

const STATES: &str =
    r#"query States { project { elsewhere: inference(name: "elsewhere") { state } } }"#;

const MOVE: &str = r#"mutation Move($platform: String!) { moveInference(input: {
  name: "points", platform: $platform
}) { inference { state } } }"#;

const INFERENCE: &str = r#"query Inference { project { inference(name: "points") {
  state message functions { platform state }
} } }"#;

/// What somebody's account holds.
#[derive(Default)]
struct Account {
    function: Option<Value>,
    mappings: Vec<Value>,
    has_log_group: bool,
    /// Nobody may look at functions.
    is_closed: bool,
}

type Shared = Arc<Mutex<Account>>;

#[tokio::test(flavor = "multi_thread")]
async fn its_offsets_are_there_before_lambda_reads_and_survive_its_groups() {
    let kafka = Kafka::shared();
    let account = Shared::default();
    let millrace = Millrace::start(kafka, &environment(&serve(&account))).await;
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, 1, &[]).await;
    let producer = Producer::new(&connection(kafka)).unwrap();
    for _ in 0..10 {
        let record = OutRecord::to(&input).partition(0).value(b"1234");
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let file = millrace.file("model.onnx", models::dense(1));
    millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    let topics = json!({"topic": unique("points"), "input": input, "output": output});
    let made = millrace.execute(PREPARE, topics).await;
    let made = &made["createInference"]["inference"];
    let group = made["consumerGroup"].as_str().unwrap();
    let redrive = made["redriveTopic"].as_str().unwrap();
    let redrive_group = format!("{group}:redrive");
    let admin = Admin::new(&connection(kafka)).unwrap();
    let at = |group: &str, topic: &str| {
        let committed = admin.committed(group, topic).unwrap();
        committed.first().map(|offset| offset.offset)
    };

    is(&millrace, "RUNNING").await;
    assert_eq!(at(group, &input), Some(3));
    let reads: Vec<Value> = {
        let account = account.lock().unwrap();
        let function = account.function.as_ref().unwrap();
        assert_eq!(function["MemorySize"], 512);
        let mappings = account.mappings.iter();
        let group = "AmazonManagedKafkaEventSourceConfig";
        mappings
            .map(|it| json!([it["Topics"][0], it[group]["ConsumerGroupId"]]))
            .collect()
    };
    assert_eq!(
        reads,
        [json!([input, group]), json!([redrive, redrive_group])]
    );
    what_reads_elsewhere_is_refused_beforehand(&millrace, kafka, &input).await;
    let (code, message) = millrace.refuse(MISPLACED, json!({})).await;
    assert_eq!(code, "INVALID_INPUT", "{message}");
    assert!(message.contains("`lambda` is for [\"lambda\""), "{message}");

    // What Lambda commits, in both groups.
    let commit = |group: &str, topic: &str, offset| {
        let offset = GroupOffset::new(topic, 0, offset);
        admin.commit(group, &[offset]).unwrap();
    };
    commit(group, &input, 7);
    commit(&redrive_group, redrive, 2);
    let stop = r#"mutation { stopInference(input: {name: "points"}) { inference { state } } }"#;
    millrace.execute(stop, json!({})).await;
    is(&millrace, "STOPPED").await;
    {
        let account = account.lock().unwrap();
        assert_eq!((&account.function, &account.mappings), (&None, &Vec::new()));
    }
    // Kafka forgets groups that nobody reads by.
    for group in [group, &redrive_group] {
        admin.delete_group(group).unwrap();
    }
    let start = r#"mutation { startInference(input: {name: "points"}) { inference { state } } }"#;
    millrace.execute(start, json!({})).await;
    is(&millrace, "RUNNING").await;
    assert_eq!(at(group, &input), Some(7));
    assert_eq!(at(&redrive_group, redrive), Some(2));

    let delete = r#"mutation { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    let gone = |data: &Value| data["project"]["inference"].is_null();
    millrace
        .wait_for("it is gone", LIMIT, INFERENCE, json!({}), gone)
        .await;
    let state = |group: &str| admin.group(group).unwrap().state;
    assert_eq!([state(group), state(&redrive_group)], ["Dead", "Dead"]);
    let account = account.lock().unwrap();
    assert_eq!((&account.function, &account.mappings), (&None, &Vec::new()));
    assert!(!account.has_log_group);
}

/// What is not of Lambda's cluster is refused before anything is made, or ends, for it: here it is the same brokers by another
/// name.
async fn what_reads_elsewhere_is_refused_beforehand(
    millrace: &Millrace,
    kafka: &Kafka,
    input: &str,
) {
    let servers = &kafka.client_properties()["bootstrap.servers"];
    let elsewhere =
        json!({"servers": format!("{servers},{servers}"), "prefix": unique("elsewhere")});
    millrace.execute(CONNECT, elsewhere).await;
    let on = |platform| json!({"platform": platform, "input": input, "output": unique("output")});
    let refused = async |operation, variables| {
        let (code, message) = millrace.refuse(operation, variables).await;
        assert_eq!(code, "INVALID_INPUT", "{message}");
        let words = "platform.lambda.cluster alone";
        assert!(message.contains(words), "{message}");
    };
    refused(CREATE_ELSEWHERE, on("lambda")).await;
    millrace.execute(CREATE_ELSEWHERE, on("local")).await;
    refused(MOVE_ELSEWHERE, json!({})).await;
    let states = millrace.execute(STATES, json!({})).await;
    let state = states["project"]["elsewhere"]["state"].as_str().unwrap();
    assert!(
        ["PENDING", "DEPLOYING", "RUNNING"].contains(&state),
        "{state}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_could_ask_lambda_for_comes_back_and_goes() {
    let kafka = Kafka::shared();
    let account = Arc::new(Mutex::new(Account {
        is_closed: true,
        ..Account::default()
    }));
    let millrace = Millrace::start(kafka, &environment(&serve(&account))).await;
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, 1, &[]).await;
    let producer = Producer::new(&connection(kafka)).unwrap();
    for _ in 0..4 {
        let record = OutRecord::to(&input).partition(0).value(b"1234");
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let file = millrace.file("model.onnx", models::dense(1));
    millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    let topics = json!({"topic": unique("points"), "input": input, "output": output});
    millrace.execute(PREPARE, topics).await;
    // Nothing was made there, and nothing has to end there.
    says(&millrace, "may not lambda:GetFunction").await;
    millrace.execute(MOVE, json!({"platform": "local"})).await;
    is(&millrace, "RUNNING").await;
    millrace.execute(MOVE, json!({"platform": "lambda"})).await;
    says(&millrace, "may not lambda:GetFunction").await;
    let delete = r#"mutation { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    let gone = |data: &Value| data["project"]["inference"].is_null();
    millrace
        .wait_for("it is gone", LIMIT, INFERENCE, json!({}), gone)
        .await;
}

/// Waits until its message has these words.
async fn says(millrace: &Millrace, words: &str) {
    let wanted = |data: &Value| {
        let message = data["project"]["inference"]["message"].as_str();
        message.is_some_and(|message| message.contains(words))
    };
    millrace
        .wait_for(words, LIMIT, INFERENCE, json!({}), wanted)
        .await;
}

async fn is(millrace: &Millrace, state: &str) {
    let wanted = |data: &Value| data["project"]["inference"]["state"] == state;
    millrace
        .wait_for(state, LIMIT, INFERENCE, json!({}), wanted)
        .await;
}

fn environment(address: &str) -> Vec<(&'static str, String)> {
    let package = format!("functions/{}/inference.zip", "00".repeat(32));
    let cluster = "arn:aws:kafka:eu-west-1:123456789012:cluster/millrace/0-1";
    [
        ("MILLRACE_PLATFORM__LAMBDA__PREFIX", "millrace"),
        (
            "MILLRACE_PLATFORM__LAMBDA__ROLE",
            "arn:aws:iam::123456789012:role/inference",
        ),
        ("MILLRACE_PLATFORM__LAMBDA__SUBNETS", "subnet-1"),
        ("MILLRACE_PLATFORM__LAMBDA__GROUPS", "sg-1"),
        ("MILLRACE_PLATFORM__LAMBDA__CLUSTER", cluster),
        ("MILLRACE_PLATFORM__LAMBDA__BUCKET", "code"),
        ("MILLRACE_PLATFORM__LAMBDA__PACKAGE", &package),
        ("AWS_ENDPOINT_URL", address),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
    .map(|(variable, value)| (variable, value.to_owned()))
    .into()
}

/// Serves the account until the test ends, and gives its address.
fn serve(account: &Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let account = Arc::clone(account);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever goes away in the middle asks again.
            let _ = answer(stream.unwrap(), &account);
        }
    });
    address
}

/// One request a connection.
fn answer(stream: TcpStream, account: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut length, mut target) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end();
        match header.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("x-amz-target", value)) => target = Some(value.to_owned()),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let call = target.unwrap_or_else(|| {
        let path = request.split('?').next().unwrap();
        path.split(" HTTP").next().unwrap().to_owned()
    });
    let mut account = account.lock().unwrap();
    let found = act(&mut account, &call, body);
    let (status, code, answer) = if account.is_closed {
        let words = json!({"Message": "no policy allows it"});
        ("403 Forbidden", "AccessDeniedException", words)
    } else {
        found.map_or_else(
            || {
                let words = json!({"Message": "there is none"});
                ("404 Not Found", "ResourceNotFoundException", words)
            },
            |answer| ("200 OK", "", answer),
        )
    };
    drop(account);
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nx-amzn-errortype: {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    reader.get_mut().write_all((head + &answer).as_bytes())
}

/// What a call does, where there is what it is about.
fn act(account: &mut Account, call: &str, body: Value) -> Option<Value> {
    let (functions, mappings) = ("/2015-03-31/functions", "/2015-03-31/event-source-mappings");
    let (verb, path) = call.split_once(' ').unwrap_or((call, ""));
    match verb {
        "Logs_20140328.CreateLogGroup" => account.has_log_group = true,
        "Logs_20140328.DeleteLogGroup" => account.has_log_group = false,
        "GET" if path.starts_with(functions) => {
            let function = account.function.clone()?;
            return Some(json!({"Configuration": function, "Tags": function["Tags"]}));
        }
        "POST" if path.starts_with(functions) => {
            let mut function = body;
            function["State"] = json!("Active");
            // The digest that the package is called by.
            function["CodeSha256"] = json!(format!("{}=", "A".repeat(43)));
            account.function = Some(function);
        }
        "DELETE" if path.starts_with(functions) => account.function = None,
        "GET" if path.starts_with(mappings) => {
            return Some(json!({"EventSourceMappings": account.mappings}));
        }
        "POST" if path.starts_with(mappings) => {
            let name = body["FunctionName"].as_str()?;
            let mut mapping = body.clone();
            mapping["UUID"] = json!(format!("{}", account.mappings.len()));
            mapping["State"] = json!("Enabled");
            let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
            mapping["FunctionArn"] = json!(arn);
            account.mappings.push(mapping);
        }
        "DELETE" if path.starts_with(mappings) => {
            let id = path.rsplit('/').find(|part| !part.is_empty())?;
            account.mappings.retain(|it| it["UUID"] != id);
        }
        _ => {}
    }
    Some(json!({}))
}
