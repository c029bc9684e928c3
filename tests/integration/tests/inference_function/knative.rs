//! The function on Knative: requests as a `KafkaSource` makes them, by HTTP.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use millrace_harness::{Kafka, KafkaOptions, block_until, free_port, unique};
use millrace_kafka::OutRecord;
use millrace_wire::function::{Batching, InferenceSpec, Requests};

use crate::answers::{Answer, Answers, assert_each_once, contents};
use crate::fixture::{Fixture, LIMIT, Replica, end};
use crate::kafka_source::{KafkaSource, Mode, Reply, attributes};
use crate::metrics::values;
use crate::models;
use crate::outage::wait_for_readiness;

/// Starts the function, and a source in front of it.
fn start(fixture: &Fixture<'_>, spec: &InferenceSpec) -> (Replica, KafkaSource) {
    let port = free_port();
    let process = fixture.start_on_knative(spec, port, Requests::default());
    (process, KafkaSource::new(port, Mode::Binary))
}

fn inputs(fixture: &Fixture<'_>) -> Vec<Answer> {
    Answers::of(fixture.kafka, &fixture.input).drain()
}

fn statuses(replies: &[Reply]) -> BTreeSet<u16> {
    replies.iter().map(|reply| reply.status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_together_share_runs_of_the_model() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..63);
    let short = OutRecord::to(&fixture.input).partition(1).value(&[1]);
    fixture.producer.send(&short).unwrap();
    fixture.producer.flush(LIMIT).unwrap();
    let records = inputs(&fixture);
    let (process, source) = start(&fixture, &fixture.pushed(&version));
    source.wait();
    let replies = source.bring_all(&fixture.input, &records).await;
    assert_eq!(statuses(&replies), BTreeSet::from([202]), "{replies:?}");
    let runs = values(&source.address, "millrace_batch_records_count").unwrap();
    let runs: f64 = runs.values().sum();
    assert!((1.0..=32.0).contains(&runs), "{runs} runs for 64 requests");
    end(process);
    let (outputs, dead) = (fixture.outputs().drain(), fixture.dead_letters().drain());
    assert_eq!((outputs.len(), dead.len()), (63, 1));
    assert_each_once(&[outputs, dead].concat(), &fixture.ends());
}

/// Records that were answered do not come again, so that nobody counts them later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_counts_though_another_record_of_its_batch_was_not() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    // No dead letter is so small: the broker refuses it.
    let narrow = [("max.message.bytes", "100")];
    let spec = InferenceSpec {
        dead_letter_topic: fixture.kafka.topic_with("narrow", 1, &narrow).await,
        ..fixture.pushed(&version)
    };
    fixture.send(0..31);
    let short = OutRecord::to(&fixture.input).partition(0).value(&[1]);
    fixture.producer.send(&short).unwrap();
    fixture.send(31..62);
    let records = inputs(&fixture);
    let (process, source) = start(&fixture, &spec);
    source.wait();
    let replies = source.bring_all(&fixture.input, &records).await;
    let accepted = replies.iter().filter(|reply| reply.status == 202).count();
    assert_eq!(accepted, 62, "{replies:?}");
    let predicted = values(&source.address, "millrace_records_predicted_total").unwrap();
    let predicted: f64 = predicted.values().sum();
    assert!((predicted - 62.0).abs() < 0.5, "{predicted} are counted");
    end(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_is_refused_for_good_and_what_the_source_gets_wrong_passes() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..1);
    let records = inputs(&fixture);
    let (process, source) = start(&fixture, &fixture.pushed(&version));
    source.wait();
    let well = attributes(&fixture.input, &records[0]);
    let with = |name: &str, value: &str| {
        let mut attributes = well.clone();
        attributes.insert(name.to_owned(), value.to_owned());
        attributes
    };
    let cases = [
        (attributes("other", &records[0]), 503, "foreign-topic"),
        (with("key", "not base64"), 503, "key-type"),
        (with("time", "noon"), 400, "malformed-event"),
        (with("specversion", "2.0"), 400, "malformed-event"),
        (with("knativekafkaoffset", "-1"), 400, "malformed-event"),
    ];
    for (attributes, status, code) in cases {
        let reply = source.send(attributes, Some(&[0; 4])).await;
        assert_eq!(
            (reply.status, reply.error.as_deref()),
            (status, Some(code)),
            "{reply:?}"
        );
    }
    let nothing = source.send(std::collections::BTreeMap::new(), None).await;
    assert_eq!(nothing.status, 400, "{nothing:?}");
    assert_eq!(source.bring(&fixture.input, &records[0]).await.status, 202);
    end(process);
    assert_each_once(&fixture.outputs().drain(), &fixture.ends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_ready_once_its_topics_are_there() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = InferenceSpec {
        output_topic: unique("later"),
        ..fixture.pushed(&version)
    };
    fixture.send(0..1);
    let record = inputs(&fixture).remove(0);
    let (process, source) = start(&fixture, &spec);
    let lacking = block_until("the topic is missed", LIMIT, || {
        let lacking = wait_for_readiness(&source.address, "503");
        if lacking.contains(&spec.output_topic) {
            Ok(lacking)
        } else {
            Err(lacking)
        }
    });
    assert!(lacking.contains("output-topic-missing"), "{lacking}");
    let reply = source.bring(&fixture.input, &record).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    let settings: [(&str, &str); 0] = [];
    fixture
        .kafka
        .create_topic(&spec.output_topic, 1, &settings)
        .await;
    source.wait();
    let reply = source.bring(&fixture.input, &record).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    end(process);
    let outputs = Answers::of(fixture.kafka, &spec.output_topic).drain();
    assert_each_once(&outputs, &fixture.ends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_accepted_while_kafka_is_away_and_nothing_is_lost() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let fixture = Fixture::new(&kafka, 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..20);
    let records = inputs(&fixture);
    let (process, source) = start(&fixture, &fixture.pushed(&version));
    source.wait();
    kafka.stop();
    let replies = source.bring_all(&fixture.input, &records).await;
    let retried = BTreeSet::from([503, 504]);
    assert!(statuses(&replies).is_subset(&retried), "{replies:?}");
    wait_for_readiness(&source.address, "503");
    kafka.start_again();
    source.wait();
    let replies = source.bring_all(&fixture.input, &records).await;
    assert_eq!(statuses(&replies), BTreeSet::from([202]), "{replies:?}");
    end(process);
    let mut outputs = contents(fixture.outputs().drain());
    outputs.dedup();
    assert_each_once(&outputs, &fixture.ends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_function_answers_records_again_under_the_same_sources() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.pushed(&version);
    fixture.send(0..500);
    let records = inputs(&fixture);
    let (mut process, source) = start(&fixture, &spec);
    source.wait();
    let mut seen = fixture.outputs();
    let kill = async {
        // Killed as soon as the first answers are there, so most likely in the middle of writing others.
        tokio::task::yield_now().await;
        tokio::task::block_in_place(|| seen.count(1, LIMIT));
        process.kill();
    };
    let (replies, ()) = tokio::join!(source.bring_all(&fixture.input, &records), kill);
    assert!(statuses(&replies).is_subset(&BTreeSet::from([0, 202])));
    let first = contents(fixture.outputs().drain());
    let accepted = replies.iter().filter(|reply| reply.status == 202).count();
    assert!(first.len() >= accepted, "{accepted} of {}", first.len());
    let (process, source) = start(&fixture, &spec);
    source.wait();
    let replies = source.bring_all(&fixture.input, &records).await;
    assert_eq!(statuses(&replies), BTreeSet::from([202]), "{replies:?}");
    end(process);
    let mut all = contents(fixture.outputs().drain());
    assert_eq!(all.len(), first.len() + records.len());
    // Repeats are the same in everything but their offset.
    all.dedup();
    assert_each_once(&all, &fixture.ends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_answered_at_the_end() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..500);
    let records = inputs(&fixture);
    let (mut process, source) = start(&fixture, &fixture.pushed(&version));
    source.wait();
    let mut seen = fixture.outputs();
    let terminate = async {
        tokio::task::yield_now().await;
        tokio::task::block_in_place(|| seen.count(1, LIMIT));
        process.terminate();
    };
    let (replies, ()) = tokio::join!(source.bring_all(&fixture.input, &records), terminate);
    assert!(process.wait(LIMIT).success());
    // 503 says that it ends; without a connection none is made to it any more.
    let expected = BTreeSet::from([0, 202, 503]);
    assert!(statuses(&replies).is_subset(&expected), "{replies:?}");
    let outputs = fixture.outputs().drain();
    let answered: BTreeSet<_> = outputs.iter().map(Answer::source).collect();
    let accepted: BTreeSet<_> = records
        .iter()
        .zip(&replies)
        .filter(|(_, reply)| reply.status == 202)
        .map(|(record, _)| (record.partition, record.offset))
        .collect();
    assert_eq!(answered, accepted, "accepted and answered are the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_there_is_room_for_comes_again() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..64);
    let mut left = inputs(&fixture);
    let spec = InferenceSpec {
        batching: Batching {
            max_bytes: 4096,
            ..Batching::default()
        },
        ..fixture.pushed(&version)
    };
    let (process, source) = start(&fixture, &spec);
    source.wait();
    let replies = source.bring_all(&fixture.input, &left).await;
    assert_eq!(
        statuses(&replies),
        BTreeSet::from([202, 429]),
        "{replies:?}"
    );
    let mut replies = replies.into_iter();
    left.retain(|_| replies.next().unwrap().status == 429);
    for record in &left {
        assert_eq!(source.bring(&fixture.input, record).await.status, 202);
    }
    end(process);
    assert_each_once(&fixture.outputs().drain(), &fixture.ends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_is_followed_through_its_object() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    let new = fixture.version(2, models::dense(2)).await;
    let spec = InferenceSpec {
        alias: Some("champion".to_owned()),
        ..fixture.pushed(&old)
    };
    fixture.send(0..1);
    let record = inputs(&fixture).remove(0);
    let (process, source) = start(&fixture, &spec);
    source.wait();
    assert_eq!(source.bring(&fixture.input, &record).await.status, 202);
    fixture.point_object(5, &new).await;
    // It is followed also while nothing comes.
    block_until("the new version answers", LIMIT, || {
        let version = values(&source.address, "millrace_model_version")?;
        let is_new = version.values().any(|version| (version - 2.0).abs() < 0.5);
        is_new.then_some(()).ok_or(format!("{version:?}"))
    });
    assert_eq!(source.bring(&fixture.input, &record).await.status, 202);
    end(process);
    let versions: Vec<u32> = fixture
        .outputs()
        .drain()
        .iter()
        .map(Answer::version)
        .collect();
    assert_eq!(versions, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_before_its_service_gives_it_up() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let port = free_port();
    let requests = Requests { timeout_seconds: 2 };
    let process = fixture.start_on_knative(&fixture.pushed(&version), port, requests);
    KafkaSource::new(port, Mode::Binary).wait();
    // It says that it has a body, of which nothing comes.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nhost: function\r\nconnection: close\r\ncontent-length: 4\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("504"), "{answer}");
    assert!(answer.contains("within 1.8s"), "{answer}");
    end(process);
}
