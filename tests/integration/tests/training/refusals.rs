//! What can't be trained: a code for programs, a sentence for people, nothing half done.

use millrace_harness::unique;
use millrace_wire::record::RecordFormat;
use millrace_wire::training::{Loss, TrainingSpec};

use crate::world::{World, easy, read_all};

/// Runs a training that must fail, with a sentence that contains `words`.
async fn fails(world: &World<'_>, training: &TrainingSpec, code: &str, words: &str) {
    world.start(training).await;
    let (found, message) = world.failed(training.id).await;
    assert_eq!(found, code, "{message}");
    assert!(message.contains(words), "{words:?} in {message:?}");
    world.has_no_checkpoint(training.id).await;
}

#[tokio::test]
async fn segments_that_are_not_there_any_more() {
    let world = World::new().await;
    let segment = world.easy_segment(60);
    let _pool = world.pool(0);

    let mut training = world.training(&segment, 1);
    training.segment.partitions.clear();
    fails(&world, &training, "segment-empty", "holds no record").await;

    let mut training = world.training(&segment, 1);
    training.segment.partitions[1].end += 1_000;
    fails(&world, &training, "segment-in-future", "lies in the future").await;

    let mut training = world.training(&segment, 1);
    training.segment.digest = "0".repeat(64);
    fails(&world, &training, "segment-changed", "Make a new segment").await;

    let mut training = world.training(&segment, 1);
    training.segment.partitions[0].count += 1;
    fails(&world, &training, "segment-changed", "Make a new segment").await;

    let mut training = world.training(&segment, 1);
    training.segment.cluster_id = "elsewhere".to_owned();
    fails(&world, &training, "cluster-changed", "elsewhere").await;

    let mut training = world.training(&segment, 1);
    training.segment.topic = unique("missing");
    fails(&world, &training, "topic-missing", "does not exist").await;

    let mut training = world.training(&segment, 1);
    training.segment.split.validation = 0.001;
    fails(&world, &training, "split", "validation part of 60 records").await;

    let expired = world.training(&segment, 1);
    let mut list = rdkafka::TopicPartitionList::new();
    for range in &segment.partitions {
        list.add_partition_offset(
            &world.data,
            range.partition,
            rdkafka::Offset::Offset(range.end),
        )
        .unwrap();
    }
    let options = rdkafka::admin::AdminOptions::new();
    world
        .kafka
        .admin()
        .delete_records(&list, &options)
        .await
        .unwrap();
    fails(&world, &expired, "segment-expired", "make a new segment").await;

    let recreated = world.training(&segment, 1);
    world.kafka.delete_topic(&world.data).await;
    world.kafka.create_topic(&world.data, 3, &[]).await;
    fails(&world, &recreated, "topic-recreated", "created again").await;
    world.all_commands_are_done().await;
}

#[tokio::test]
async fn bad_records_go_to_the_dead_letters() {
    let world = World::new().await;
    world.easy_segment(97);
    let (value, _) = easy(1);
    world.write(&value[1..], Some("1"));
    world.write(&value, Some("4"));
    world.write(&value, None);
    let segment = world.segment();
    let _pool = world.pool(0);

    let mut strict = world.training(&segment, 1);
    strict.hyperparameters.max_bad_records = 0.02;
    fails(
        &world,
        &strict,
        "bad-records",
        "3 of the segment's 100 records",
    )
    .await;

    let mut lenient = world.training(&segment, 2);
    lenient.hyperparameters.max_bad_records = 0.03;
    world.start(&lenient).await;
    world.succeeded(lenient.id).await;

    let id = lenient.id.to_string();
    let mut reasons: Vec<(String, String)> = read_all(world.kafka, &world.dead_letters)
        .into_iter()
        .filter(|(headers, _)| headers["millrace-training"] == id)
        .map(|(headers, value)| {
            assert!(headers["millrace-source"].starts_with(&format!("{}/", world.data)));
            assert!(value.is_some_and(|value| value.len() >= 15));
            let text = |name: &str| headers[name].clone();
            (text("millrace-error"), text("millrace-error-message"))
        })
        .collect();
    reasons.sort();
    let expected = [
        (
            "label-class",
            "the label 4 is not one of the classes 0 to 3",
        ),
        (
            "no-label",
            "the record has no label: the header \"label\" is missing",
        ),
        ("size", "the value has 15 bytes where 16 are expected"),
    ];
    let expected = expected.map(|(code, text)| (code.to_owned(), text.to_owned()));
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn models_that_do_not_fit_and_losses_that_explode() {
    let world = World::new().await;
    let segment = world.easy_segment(60);
    let _pool = world.pool(0);

    let mut exploding = world.training(&segment, 3);
    exploding.hyperparameters.learning_rate = 1e30;
    fails(&world, &exploding, "loss-not-finite", "step").await;

    let mut missing = world.training(&segment, 1);
    missing.version.digest = "1".repeat(64);
    fails(
        &world,
        &missing,
        "artifact-missing",
        "version 1 of the model digits",
    )
    .await;

    let mut no_model = world.training(&segment, 1);
    let stored = world.store.put_bytes("not a model".into()).await.unwrap();
    no_model.version.digest = stored.digest;
    fails(&world, &no_model, "model-invalid", "not an ONNX model").await;

    let mut narrow = world.training(&segment, 1);
    let RecordFormat::Raw(array) = &mut narrow.format else {
        panic!("the digits are RAW");
    };
    array.shape = vec![15];
    fails(&world, &narrow, "model-input", "float32[15]").await;

    let mut squared = world.training(&segment, 1);
    squared.hyperparameters.loss = Loss::MeanSquaredError;
    fails(&world, &squared, "label-shape", "a label has 4 numbers").await;
}
