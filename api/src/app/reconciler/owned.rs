//! The topics that Millrace made for an inference, by name and by Kafka's id of them.
//!
//! Invariant: what somebody else made under the name of one of them is never removed, nor is what somebody else
//! uses.

use millrace_entity::datasource;
use millrace_entity::inference::{self, Desired, Model};
use millrace_kafka::{Admin, Error as KafkaError, TopicDescription};
use sea_orm::{ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};

use super::super::{Cluster, Code, Error, Result};
use super::Settings;
use super::topics::writes_to;

/// A topic that Millrace made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnedTopic {
    name: String,
    /// Nothing where it was made before ids were kept.
    id: Option<String>,
}

impl From<TopicDescription> for OwnedTopic {
    fn from(topic: TopicDescription) -> Self {
        Self {
            name: topic.name,
            id: Some(topic.id),
        }
    }
}

/// Those that the row names.
pub(super) fn owned_topics(row: &Model) -> Result<Vec<OwnedTopic>> {
    serde_json::from_value(row.owned_topics.clone()).map_err(Error::internal)
}

/// Takes a topic in, in the place of what had its name before.
pub(super) fn take(owned: &mut Vec<OwnedTopic>, topic: TopicDescription) {
    owned.retain(|other| other.name != topic.name);
    owned.push(topic.into());
    owned.sort_unstable();
}

/// A planned topic that was made here before a crash: it is there, and nobody has written to it.
pub(super) async fn made_before(
    cluster: &Cluster,
    settings: &Settings,
    topic: &str,
) -> Result<Option<TopicDescription>> {
    if !settings.planned.iter().any(|planned| planned == topic) {
        return Ok(None);
    }
    let name = topic.to_owned();
    let found = cluster
        .run(move |admin| Ok((admin.describe_topic(&name)?, admin.watermarks(&name)?)))
        .await;
    match found {
        Ok((topic, ends)) => Ok(ends.iter().all(|ends| ends.high == 0).then_some(topic)),
        Err(error) if error.code() == Code::TopicNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Those of an inference's topics that nobody else reads or writes, as far as Millrace knows. The others stay when it
/// is deleted.
pub(super) async fn unshared(
    database: &DatabaseConnection,
    row: &Model,
    topics: Vec<OwnedTopic>,
) -> Result<Vec<OwnedTopic>> {
    let others = inference::Entity::find()
        .filter(inference::Column::Id.ne(row.id))
        .filter(inference::Column::Desired.ne(Desired::Deleted))
        .filter(inference::Column::ConnectionId.eq(row.connection_id))
        .all(database)
        .await?;
    let mut unshared = Vec::new();
    for topic in topics {
        let name = topic.name.as_str();
        let mut other = None;
        for one in &others {
            if one.input_topic == name || writes_to(one, name)? {
                other = Some(one);
                break;
            }
        }
        let reader = datasource::Entity::find()
            .filter(datasource::Column::ConnectionId.eq(row.connection_id))
            .filter(datasource::Column::Topic.eq(name))
            .one(database)
            .await?;
        let user = other
            .map(|other| format!("the inference {}", other.name))
            .or(reader.map(|reader| format!("the datasource {}", reader.name)));
        match user {
            Some(user) => {
                tracing::warn!(
                    kafka.topic = name,
                    "a topic of the inference {} stays: {user} uses it",
                    row.name
                );
            }
            None => unshared.push(topic),
        }
    }
    Ok(unshared)
}

/// Removes those that are still the topics that Millrace made.
pub(super) fn remove(admin: &Admin, owned: &[OwnedTopic]) -> std::result::Result<(), KafkaError> {
    for OwnedTopic { name, id } in owned {
        let Some(id) = id else {
            tracing::warn!(
                kafka.topic = name,
                "a topic stays: it was made before Millrace kept Kafka's ids of its topics, so nobody knows whether it is still the same one; delete it yourself if it is of no use"
            );
            continue;
        };
        match admin.check_topic_id(name, id) {
            Ok(()) => admin.delete_topics(&[name])?,
            Err(KafkaError::TopicNotFound { .. }) => {}
            Err(error @ KafkaError::TopicRecreated { .. }) => {
                tracing::warn!("{error}; it stays, since Millrace did not make it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
