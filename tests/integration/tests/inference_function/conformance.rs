//! What every trigger has to do alike: the same records through each of them give the same answers, byte for byte, as far as
//! they are brought byte for byte.

use std::collections::BTreeMap;

use chrono::Utc;
use millrace_harness::{Kafka, Lambda, free_port};
use millrace_kafka::OutRecord;
use millrace_wire::function::{InferenceSpec, Invocations, Requests};
use millrace_wire::header;

use crate::answers::{Answer, Answers, assert_each_once, contents};
use crate::fixture::{Fixture, LIMIT, end};
use crate::kafka_source::{KafkaSource, Mode, carried};
use crate::lambda::{invoke, succeeded, whole};
use crate::models;

/// Writes one record of every kind that may make a difference.
fn write_every_kind(fixture: &Fixture<'_>) {
    let to = |partition| OutRecord::to(&fixture.input).partition(partition);
    let four: &[u8] = &[1, 2, 3, 4];
    // Older ones might be taken by the topics' retention.
    let hour_ago = Utc::now().timestamp_millis() - 3_600_000;
    let records = [
        to(0).value(four),
        to(0).key(b"").value(&[0; 4]),
        to(0).key(&[0, 255, 128]).value(&[255; 4]),
        to(1).key(b"time").value(four).timestamp_ms(hour_ago),
        to(1)
            .value(four)
            .header("trace", b"first".as_slice())
            .header("trace", b"second".as_slice())
            .header("binary", b"\xff\x00\x80\x7f".as_slice())
            .header("empty", b"".as_slice())
            .header("X-Request_Id", b"100%25 of it".as_slice())
            .null_header("null"),
        to(1)
            .value(four)
            .header("content-type", b"text/plain".as_slice())
            .header("ce_id", b"1".as_slice())
            .header("millrace-source", b"somebody/1/2".as_slice())
            .header("millrace-origin", b"first/0/0".as_slice()),
        // What becomes a dead letter: a tombstone, an empty value, one that is too short.
        to(0).key(b"tombstone"),
        to(0).key(b"nothing").value(b"").null_header("null"),
        to(1)
            .value(&[7; 3])
            .timestamp_ms(hour_ago + 1)
            .header("content-type", b"text/plain".as_slice())
            .header("twice", b"\x80".as_slice())
            .header("twice", b"".as_slice()),
        to(1).key(b"last").value(four),
    ];
    for record in records {
        fixture.producer.send(&record).unwrap();
    }
    fixture.producer.flush(LIMIT).unwrap();
}

/// Outputs and dead letters.
type Letters = [Vec<Answer>; 2];

fn read(fixture: &Fixture<'_>, spec: &InferenceSpec) -> Letters {
    [&spec.output_topic, &spec.dead_letter_topic]
        .map(|topic| contents(Answers::of(fixture.kafka, topic).drain()))
}

/// The same inference, with answers in topics of its own.
async fn anew(fixture: &Fixture<'_>, spec: &InferenceSpec, partitions: i32) -> InferenceSpec {
    InferenceSpec {
        output_topic: fixture.kafka.topic("pushed", partitions).await,
        dead_letter_topic: fixture.kafka.topic("pushed-dead", 1).await,
        ..spec.clone()
    }
}

/// What a record is like once an event has carried it.
fn after_an_event(record: &Answer, mode: Mode) -> Answer {
    let mut headers = BTreeMap::new();
    for (name, value) in &record.headers {
        let is_text = value.as_ref().is_some_and(|value| value.is_ascii());
        let name = match name.as_str() {
            "content-type" | "millrace-source" | "millrace-origin" => name.clone(),
            other => carried(other),
        };
        if is_text {
            headers.insert(name, value.clone());
        }
    }
    let is_kept = |value: &Vec<u8>| mode == Mode::Structured || !value.is_empty();
    Answer {
        key: record.key.clone().filter(|key| !key.is_empty()),
        value: record.value.clone().filter(is_kept),
        headers: headers.into_iter().collect(),
        ..record.clone()
    }
}

/// What polling would have answered, had it read the records that events carry.
fn expected(inputs: &[Answer], polled: Letters, mode: Mode) -> Letters {
    let [outputs, dead] = polled;
    let of = |answer: &Answer| {
        let is_it = |input: &&Answer| (input.partition, input.offset) == answer.source();
        after_an_event(inputs.iter().find(is_it).unwrap(), mode)
    };
    let written = |answer: &Answer, stays: fn(&str) -> bool| {
        let carried = of(answer)
            .headers
            .into_iter()
            .filter(|(name, _)| stays(name));
        let ours = answer
            .headers
            .iter()
            .filter(|(name, _)| header::is_ours(name));
        carried.chain(ours.cloned()).collect()
    };
    let outputs = outputs.into_iter().map(|answer| Answer {
        key: of(&answer).key,
        headers: written(&answer, header::passes_through),
        ..answer
    });
    let dead = dead.into_iter().map(|answer| Answer {
        key: of(&answer).key,
        value: of(&answer).value,
        headers: written(&answer, |name| !header::is_ours(name)),
        ..answer
    });
    [outputs.collect(), dead.collect()]
}

/// Headers in an order that does not depend on how they were carried.
fn sorted(mut letters: Letters) -> Letters {
    for answer in letters.iter_mut().flatten() {
        answer.headers.sort();
    }
    letters
}

#[tokio::test]
async fn lambda_and_knative_answer_as_polling_does() {
    for partitions in [2, 3] {
        let fixture = Fixture::new(Kafka::shared(), 2, partitions).await;
        let version = fixture.version(7, models::dense(1)).await;
        write_every_kind(&fixture);
        let spec = fixture.pushed(&version);
        let process = fixture.start(0, &spec);
        fixture.wait_until_done();
        end(process);
        let polled = read(&fixture, &spec);
        assert_eq!((polled[0].len(), polled[1].len()), (7, 3));
        assert_each_once(&polled.concat(), &fixture.ends());

        let pushed = anew(&fixture, &spec, partitions).await;
        let lambda = Lambda::start();
        let process = fixture.start_on(&lambda, &pushed, Invocations::default());
        assert_eq!(invoke(&lambda, &whole(&fixture)), succeeded());
        assert_eq!(read(&fixture, &pushed), polled);
        end(process);

        let inputs = Answers::of(fixture.kafka, &fixture.input).drain();
        for mode in [Mode::Binary, Mode::Structured] {
            let pushed = anew(&fixture, &spec, partitions).await;
            let port = free_port();
            let process = fixture.start_on_knative(&pushed, port, Requests::default());
            let source = KafkaSource::new(port, mode);
            source.wait();
            for record in &inputs {
                let reply = source.bring(&fixture.input, record).await;
                assert_eq!(reply.status, 202, "{reply:?}");
            }
            end(process);
            let mut expected = expected(&inputs, polled.clone(), mode);
            let mut found = read(&fixture, &pushed);
            if mode == Mode::Binary {
                // An empty value comes as none, and so its letter says something else is wrong with it.
                for letters in [&mut expected, &mut found] {
                    let is_told = |name: &str| !name.starts_with("millrace-error");
                    for letter in letters[1]
                        .iter_mut()
                        .filter(|letter| letter.value.is_none())
                    {
                        letter.headers.retain(|(name, _)| is_told(name));
                    }
                }
            }
            assert_eq!(sorted(found), sorted(expected), "{mode:?}");
        }
    }
}
