//! A password of Kafka that lies in AWS Secrets Manager, for which moto stands in: the function reads it, on a broker that
//! checks it.

use millrace_harness::{Kafka, KafkaOptions, Moto};
use serde_json::json;

use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_read_from_aws_by_its_arn() {
    let moto = Moto::start();
    let kafka = Kafka::start(&KafkaOptions::default().secured());
    for kind in ["--topic", "--group", "--transactional-id"] {
        kafka.allow(&["--operation", "All", kind, "*"]);
    }
    let fixture = Fixture::new(&kafka, 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    let held = json!({"username": "me", "password": spec.connection["sasl.password"]});
    let asked = json!({"Name": "AmazonMSK_kafka", "SecretString": held.to_string()});
    let made = moto
        .ask("secretsmanager", "secretsmanager.CreateSecret", &asked)
        .await;
    let arn = made["ARN"].as_str().unwrap();
    let reference = format!("${{aws-secret:{arn}#password}}");
    spec.connection
        .insert("sasl.password".to_owned(), reference);

    let process = fixture.start_with(&spec, Moto::environment(&moto.url()));
    let mut outputs = fixture.outputs();
    fixture.send(0..20);
    outputs.count(20, LIMIT);
    end(process);
}
