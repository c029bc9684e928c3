//! What a replica tells of its work: at its own server, and in its heartbeats.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use millrace_harness::{Kafka, block_until, free_port};
use millrace_kafka::OutRecord;
use millrace_wire::event::Body;
use millrace_wire::function::{End, Ends, InferenceSpec, Span};
use millrace_wire::progress::{Progress, Stage};

use crate::fixture::{Fixture, LIMIT, end};
use crate::models;
use crate::outage::get;

const RECORDS: u32 = 400;

/// The values of a metric, by its labels as they are written.
pub fn values(address: &str, name: &str) -> Result<BTreeMap<String, f64>, String> {
    let (_, metrics) = get(address, "/metrics")?;
    let lines = metrics.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        Some((labels.to_owned(), value.parse().unwrap()))
    });
    Ok(lines.collect())
}

fn wait_for_values(address: &str, name: &str, condition: impl Fn(&BTreeMap<String, f64>) -> bool) {
    block_until(name, LIMIT, || {
        let found = values(address, name)?;
        if condition(&found) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

/// Waits for a heartbeat.
fn wait_for(fixture: &Fixture<'_>, what: &str, is_it: impl Fn(&Progress) -> bool) {
    fixture.wait_for_event(
        what,
        |body| matches!(body, Body::InferenceProgress(progress) if is_it(progress)),
    );
}

/// A replica that answers all records, but not too fast to be watched.
fn slowly(spec: InferenceSpec) -> InferenceSpec {
    let ends = [0, 1].map(|partition| End {
        partition,
        offset: i64::from(RECORDS / 2),
    });
    InferenceSpec {
        span: Some(Span {
            ends: Ends::At(ends.into()),
            records_per_second: Some(50.0),
        }),
        ..spec
    }
}

#[tokio::test]
async fn a_replica_tells_how_far_it_is_behind_and_how_long_its_stages_take() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    // It fails on numbers of which a byte is larger.
    let version = fixture.version(1, models::table(100)).await;
    let hour_ago = (Utc::now() - TimeDelta::hours(1)).timestamp_millis();
    for number in 0..RECORDS {
        let value = number.to_le_bytes();
        let record = OutRecord::to(&fixture.input)
            .partition(i32::try_from(number % 2).unwrap())
            .timestamp_ms(hour_ago);
        fixture.producer.send(&record.value(&value)).unwrap();
    }
    fixture.producer.flush(LIMIT).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let process = fixture.start_at(0, &slowly(fixture.spec(0, &version)), &address);

    let hour = 3_600.0..3_600.0 + LIMIT.as_secs_f64();
    wait_for_values(&address, "millrace_lag_seconds", |seconds| {
        seconds.len() == 2 && seconds.values().any(|one| hour.contains(one))
    });
    wait_for(&fixture, "it is behind", |progress| {
        progress.partitions.iter().any(|behind| {
            let since = behind.waiting_since.map(|since| since.timestamp_millis());
            (1..i64::from(RECORDS)).contains(&behind.lag) && since == Some(hour_ago)
        })
    });
    fixture.wait_until_done();
    for metric in ["millrace_lag_records", "millrace_lag_seconds"] {
        wait_for_values(&address, metric, |found| {
            let expected = ["{partition=\"0\"}", "{partition=\"1\"}"];
            let expected = expected.map(|partition| (partition.to_owned(), 0.0));
            *found == BTreeMap::from(expected)
        });
    }
    let is_dead = |number: &u32| number.to_le_bytes().iter().any(|byte| *byte >= 100);
    let dead = u64::try_from((0..RECORDS).filter(is_dead).count()).unwrap();
    let labels = "{code=\"predict\"}".to_owned();
    let counted = values(&address, "millrace_records_dead_lettered_total").unwrap();
    assert_eq!(
        counted,
        BTreeMap::from([(labels, f64::from(u32::try_from(dead).unwrap()))])
    );
    let stages = [
        Stage::Wait,
        Stage::Decode,
        Stage::Run,
        Stage::Encode,
        Stage::Send,
        Stage::Commit,
    ];
    let counted = values(&address, "millrace_stage_seconds_count").unwrap();
    for stage in stages {
        let count = counted[&format!("{{stage=\"{}\"}}", stage.name())];
        assert!(count > 0.0, "{stage:?}");
    }
    end(process);

    let last = last_heartbeat(&fixture);
    assert_eq!(last.records(), u64::from(RECORDS));
    assert_eq!(last.errors, BTreeMap::from([("predict".to_owned(), dead)]));
    assert!(
        (last.batches.sum - f64::from(RECORDS)).abs() < 1e-9,
        "{last:?}"
    );
    assert!(last.stages.keys().eq(&stages), "{last:?}");
    let batches = last.batches.count();
    for (stage, seconds) in &last.stages {
        let count = seconds.count();
        let is_right = match stage {
            // One commit may be of several batches.
            Stage::Commit => count > 0,
            // Where no record of a batch has an answer, none is written.
            Stage::Encode => (1..=batches).contains(&count),
            Stage::Wait | Stage::Decode | Stage::Run | Stage::Send => count == batches,
        };
        assert!(is_right && seconds.sum > 0.0, "{stage:?}: {last:?}");
    }
    assert!(
        last.partitions.is_empty(),
        "it holds none any more: {last:?}"
    );
}

/// What a replica that has ended said last.
fn last_heartbeat(fixture: &Fixture<'_>) -> Progress {
    let last = std::cell::RefCell::new(Progress::default());
    wait_for(fixture, "the last heartbeat", |progress| {
        last.replace(progress.clone());
        progress.records() == u64::from(RECORDS) && progress.partitions.is_empty()
    });
    last.into_inner()
}
