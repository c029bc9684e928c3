//! A span of the input: answered once up to its ends and not beyond, whatever is killed; at no more than its rate; or
//! behind another group, which is never overtaken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_harness::{Kafka, block_until, unique};
use millrace_kafka::GroupOffset;
use millrace_wire::function::{End, Ends, InferenceSpec, Span};

use crate::answers::{Answer, assert_each_once};
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// This specification for a part of the input.
fn within(spec: InferenceSpec, ends: Ends, rate: Option<f64>) -> InferenceSpec {
    InferenceSpec {
        span: Some(Span {
            ends,
            records_per_second: rate,
        }),
        ..spec
    }
}

/// The offsets that the fixture's group has committed, by partition.
fn committed(fixture: &Fixture<'_>) -> BTreeMap<i32, i64> {
    let committed = fixture.admin.committed(&fixture.group, &fixture.input);
    let offsets = committed.unwrap().into_iter();
    offsets.map(|one| (one.partition, one.offset)).collect()
}

/// Waits until the fixture's group has committed this.
fn wait_for_committed(fixture: &Fixture<'_>, expected: &BTreeMap<i32, i64>) {
    block_until("the ends are committed", LIMIT, || {
        let found = committed(fixture);
        if found == *expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

/// Fails unless exactly these offsets of each partition are answered, once.
fn assert_span(answers: &[Answer], span: &BTreeMap<i32, (i64, i64)>) {
    let mut found: Vec<(i32, i64)> = answers.iter().map(Answer::source).collect();
    found.sort_unstable();
    let expected: Vec<(i32, i64)> = span
        .iter()
        .flat_map(|(partition, (start, end))| (*start..*end).map(|offset| (*partition, offset)))
        .collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_killed_replay_answers_its_span_once_and_nothing_behind_it() {
    let fixture = Fixture::without_start(Kafka::shared(), 4, 4).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..40_000);
    // Of the third partition nothing is read, and of the fourth nothing is named.
    let span = BTreeMap::from([(0, (100, 9_000)), (1, (0, 7_001)), (2, (50, 50))]);
    let start = |(partition, (start, _)): (&i32, &(i64, i64))| {
        GroupOffset::new(&fixture.input, *partition, *start)
    };
    fixture.commit(&span.iter().map(start).collect::<Vec<_>>());
    let ends = span.iter().map(|(partition, (_, end))| End {
        partition: *partition,
        offset: *end,
    });
    let ends = Ends::At(ends.collect());
    let begun = chrono::Utc::now().timestamp_millis();
    let spec = |ordinal| within(fixture.spec(ordinal, &version), ends.clone(), Some(4_000.0));
    let mut outputs = fixture.outputs();
    let mut first = fixture.start(0, &spec(0));
    let mut second = fixture.start(1, &spec(1));
    let mut interrupted = 0;
    for count in [1_000, 5_000] {
        outputs.count(count, LIMIT);
        first.kill();
        second.kill();
        let marks = fixture.admin.watermarks(&fixture.output).unwrap();
        let answered: i64 = marks.iter().map(|one| one.stable).sum();
        interrupted += usize::from(answered < 15_901);
        first = fixture.start(0, &spec(0));
        second = fixture.start(1, &spec(1));
    }
    assert!(interrupted > 0, "no kill came before the work was done");
    // The live one's records come meanwhile.
    fixture.send(40_000..44_000);
    let expected = span.iter().map(|(partition, (_, end))| (*partition, *end));
    wait_for_committed(&fixture, &expected.collect());
    end(first);
    end(second);
    let answers = outputs.drain();
    assert_span(&answers, &span);
    for answer in &answers {
        assert!(
            answer.timestamp_ms.unwrap() >= begun,
            "an answer has the present as its time"
        );
        let time: i64 = answer
            .header("millrace-timestamp")
            .unwrap()
            .parse()
            .unwrap();
        assert!(time <= begun, "the record's own time stands in a header");
    }
}

#[tokio::test]
async fn a_replay_is_no_faster_than_its_rate() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..400);
    let ends = Ends::At(vec![End {
        partition: 0,
        offset: 400,
    }]);
    let spec = within(fixture.spec(0, &version), ends, Some(100.0));
    let mut process = fixture.start(0, &spec);
    process.wait_for("partitions assigned", LIMIT);
    let begun = Instant::now();
    let mut outputs = fixture.outputs();
    outputs.count(400, LIMIT);
    // At most a second's worth at once, before the clock runs.
    assert!(begun.elapsed() > Duration::from_millis(2_500), "{begun:?}");
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn one_that_follows_a_group_never_overtakes_it_and_passes_nothing_over() {
    let kafka = Kafka::shared();
    let live = Fixture::new(kafka, 2, 2).await;
    let version = live.version(1, models::dense(1)).await;
    let behind = Fixture {
        output: kafka.topic("output", 2).await,
        group: unique("group"),
        ..Fixture::new(kafka, 2, 2).await
    };
    let behind = Fixture {
        input: live.input.clone(),
        ..behind
    };
    let start: Vec<GroupOffset> = (0..2)
        .map(|partition| GroupOffset::new(&live.input, partition, 0))
        .collect();
    behind.commit(&start);
    let second = behind.version(2, models::dense(2)).await;
    let spec = within(
        behind.spec(0, &second),
        Ends::Behind(live.group.clone()),
        None,
    );
    // Far more than the one ahead has answered is there to be read.
    live.send(0..2_000);
    let follower = behind.start(0, &spec);
    let running = live.start(0, &live.spec(0, &version));
    live.wait_until_done();
    let mut sent = 2_000;
    // It comes to the end of what it may read again and again while records come in.
    for _ in 0..5 {
        for _ in 0..10 {
            live.send(sent..sent + 100);
            sent += 100;
            let (own, ahead) = (committed(&behind), committed(&live));
            for (partition, offset) in own {
                assert!(offset <= ahead[&partition], "it is ahead in {partition}");
            }
        }
        let reached = committed(&live);
        block_until("it has followed", LIMIT, || {
            let own = committed(&behind);
            let mut parts = reached.iter();
            if parts.all(|(partition, offset)| own[partition] >= *offset) {
                Ok(())
            } else {
                Err(format!("{own:?}"))
            }
        });
    }
    end(running);
    live.send(sent..sent + 1_000);
    block_until(
        "it has followed to where the other one ended",
        LIMIT,
        || {
            let (own, ahead) = (committed(&behind), committed(&live));
            if own == ahead {
                Ok(())
            } else {
                Err(format!("{own:?}"))
            }
        },
    );
    assert_ne!(committed(&live), live.ends(), "more was there to be read");
    let running = live.start(0, &live.spec(0, &version));
    live.wait_until_done();
    wait_for_committed(&behind, &committed(&live));
    end(running);
    end(follower);
    assert_each_once(&live.outputs().drain(), &live.ends());
    assert_each_once(&behind.outputs().drain(), &live.ends());
}
