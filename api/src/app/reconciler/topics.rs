//! The topics that Millrace needs: those of one inference, and those of its own.

use std::collections::BTreeMap;

use millrace_entity::connection::TopicPolicy;
use millrace_entity::inference;
use millrace_wire::function::HandOn;

use super::super::inference::Span;
use super::super::{Cluster, Code, Error, Need, Result};
use super::Settings;

/// Room for the headers that are added to a record, and for what JSON adds to numbers.
const ROOM: i64 = 64 * 1024;

/// Whether an inference writes to a topic: answers, dead letters, or what it hands on.
pub(in crate::app) fn writes_to(row: &inference::Model, topic: &str) -> Result<bool> {
    if row.output_topic == topic || row.dead_letter_topic == topic {
        return Ok(true);
    }
    let hand_on = Settings::of(row)?.hand_on;
    Ok(hand_on.is_some_and(|hand_on| hand_on.topic == topic))
}

/// What an inference writes to. `partitions` and `max_message_bytes` are its input's: an output
/// goes to its input's partition, and a dead letter is as large as its record and more.
pub(in crate::app) fn needs(
    row: &inference::Model,
    hand_on: Option<&HandOn>,
    partitions: i32,
    max_message_bytes: i64,
) -> Vec<Need> {
    let limit = max_message_bytes
        .saturating_add(ROOM)
        .min(i64::from(i32::MAX));
    let config = BTreeMap::from([("max.message.bytes".to_owned(), limit.to_string())]);
    let need = |topic: &str, partitions, purpose: &str| Need {
        topic: topic.to_owned(),
        partitions,
        config: config.clone(),
        purpose: format!("{purpose} of the inference {:?}", row.name),
    };
    let mut redrive = need(
        &row.redrive_topic,
        Some(partitions),
        "the dead letters that are sent back,",
    );
    let span = Span::of(row).ok().flatten();
    if span.is_some_and(|span| span.pinned.is_some()) {
        // However slowly the records of a whole segment are answered. The topic goes with the inference.
        let forever = ("retention.ms".to_owned(), "-1".to_owned());
        redrive.config.extend([forever]);
    }
    let mut needs = vec![
        need(&row.output_topic, Some(partitions), "the predictions"),
        need(&row.dead_letter_topic, None, "the dead letters"),
        redrive,
    ];
    needs.extend(hand_on.map(|one| need(&one.topic, Some(partitions), "what is handed on")));
    needs
}

/// Makes sure of the topics through which Millrace and its functions talk.
pub(super) async fn ensure_own(cluster: &Cluster, slots: i32) -> Result<()> {
    let names = cluster.names();
    let need = |topic: String, partitions, config: &[(&str, &str)], purpose: &str| Need {
        topic,
        partitions,
        config: config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        purpose: purpose.to_owned(),
    };
    let compacted = [("cleanup.policy", "compact")];
    let needs = [
        need(
            names.registry(),
            // Readers note one offset for all that they have applied.
            Some(1),
            &compacted,
            "which version each alias points at",
        ),
        need(names.events(), None, &[], "what functions report"),
        need(
            names.training_dead_letter(),
            None,
            &[],
            "records that trainings could not use",
        ),
        need(
            names.training(),
            Some(slots),
            &[],
            "the commands to trainings, each in a partition of its own",
        ),
    ];
    let mut partitions = 0;
    let mut missing = Vec::new();
    for need in needs {
        match cluster.ensure_topic(need).await {
            Ok(found) => partitions = found.description.partitions,
            // The cluster's owner is asked for all of them at once.
            Err(error) if error.code() == Code::TopicNotFound => missing.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    if !missing.is_empty() {
        return Err(Error::new(Code::TopicNotFound, missing.join("; ")));
    }
    if partitions < slots && cluster.row().topic_policy == TopicPolicy::Create {
        let topic = names.training();
        cluster
            .run(move |admin| admin.create_partitions(&topic, slots))
            .await?;
    }
    Ok(())
}
