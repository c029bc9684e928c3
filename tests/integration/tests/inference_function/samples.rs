//! Golden samples: a version that answers them otherwise on this machine than they expect does not go live here.

use millrace_harness::Kafka;
use millrace_wire::samples::{Expected, Tolerance};

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;
use crate::npz::{Cells, answered, npz, rows};

const COUNT: u16 = 70;

/// Samples for models of four numbers and two, with what `model` answers.
fn samples(model: &[u8]) -> Vec<u8> {
    let rows = rows(COUNT);
    let expected = answered(model, &rows);
    let count = usize::from(COUNT);
    npz(&[
        ("input", &[count, 4], Cells::Numbers(&rows)),
        ("output", &[count, 2], Cells::Numbers(&expected)),
    ])
}

#[tokio::test]
async fn a_version_that_answers_otherwise_here_leaves_the_old_one_at_work() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    // What it gave where it was made, as far as this machine can tell.
    let elsewhere = samples(&models::dense(3));
    let other = fixture.version(2, models::dense(2)).await;
    let other = fixture.expecting(other, elsewhere).await;
    let good = fixture.version(3, models::dense(2)).await;
    let good = fixture.expecting(good, samples(&models::dense(2))).await;
    fixture.point(&old);
    let process = fixture.start(0, &fixture.following(0, &old));
    let mut outputs = fixture.outputs();
    fixture.send(0..10);
    outputs.count(10, LIMIT);
    fixture.point(&other);
    let message = fixture.wait_for_problem("version-differs");
    for words in [
        "version 2 of the model numbers answers its samples otherwise on this machine",
        "sample 0: the output output[0] is ",
        " is expected, give or take ",
        "(0.00001 + 0.001 × |expected|)",
        "in 70 of 70 samples",
        "the version before it goes on answering",
    ] {
        assert!(message.contains(words), "{message}");
    }
    fixture.send(10..20);
    outputs.count(20, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 1));

    let mut missing = good.clone();
    missing.samples.as_mut().unwrap().digest = "0".repeat(64);
    fixture.point(&missing);
    let message = fixture.wait_for_problem("version-unavailable");
    assert!(message.contains("the samples of version 3"), "{message}");

    fixture.point(&good);
    let mut sent = 20;
    while outputs.all.last().unwrap().version() != 3 {
        fixture.send(sent..sent + 1);
        sent += 1;
        outputs.count(sent as usize, LIMIT);
    }
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_version_that_answers_otherwise_here_never_begins() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut version = fixture.expecting(version, samples(&models::dense(2))).await;
    fixture.send(0..10);
    let process = fixture.start(0, &fixture.spec(0, &version));
    let message = fixture.wait_for_problem("version-differs");
    assert!(
        message.contains("nothing is answered until it can be"),
        "{message}"
    );
    end(process);
    assert!(fixture.outputs().drain().is_empty());

    // The same answers are good enough for who says so.
    let expected: &mut Expected = version.samples.as_mut().unwrap();
    expected.tolerance = Tolerance {
        relative: 0.0,
        absolute: 1e6,
    };
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_until_done();
    end(process);
    assert_each_once(&fixture.outputs().drain(), &fixture.ends());
}
