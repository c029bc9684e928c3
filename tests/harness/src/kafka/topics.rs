//! Topics for tests, made with the administrator's rights.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::Kafka;
use crate::unique::unique;
use crate::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(30);

impl Kafka {
    /// Makes a topic whose name begins with `prefix` and which no other test has; returns the name.
    pub async fn topic(&self, prefix: &str, partitions: i32) -> String {
        self.topic_with(prefix, partitions, &[]).await
    }

    /// [`Kafka::topic`], with settings such as `("cleanup.policy", "compact")`.
    pub async fn topic_with(
        &self,
        prefix: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> String {
        let name = unique(prefix);
        self.create_topic(&name, partitions, settings).await;
        name
    }

    /// Makes a topic of exactly this name, and waits until every partition has a leader.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (setting, value) in settings {
            topic = topic.set(setting, value);
        }
        let results = self
            .admin()
            .create_topics(
                [&topic],
                &AdminOptions::new().operation_timeout(Some(LIMIT)),
            )
            .await
            .expect("the broker answers");
        for result in results {
            if let Err((name, code)) = result {
                panic!("cannot create topic {name}: {code}");
            }
        }
        let expected = usize::try_from(partitions).expect("a number of partitions");
        let client: BaseConsumer = self
            .config()
            .create()
            .expect("properties made by the harness");
        wait_until(&format!("topic {name} has leaders"), LIMIT, async || {
            let metadata = client
                .fetch_metadata(Some(name), LIMIT)
                .map_err(|error| error.to_string())?;
            let led = metadata.topics().first().map_or(0, |topic| {
                topic
                    .partitions()
                    .iter()
                    .filter(|partition| partition.leader() >= 0)
                    .count()
            });
            if led == expected {
                Ok(())
            } else {
                Err(format!("{led} of {expected} partitions"))
            }
        })
        .await;
    }

    /// Deletes a topic.
    pub async fn delete_topic(&self, name: &str) {
        let results = self
            .admin()
            .delete_topics(&[name], &AdminOptions::new().operation_timeout(Some(LIMIT)))
            .await
            .expect("the broker answers");
        for result in results {
            if let Err((name, code)) = result {
                panic!("cannot delete topic {name}: {code}");
            }
        }
    }

    /// An administration client, with the rights to do everything.
    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config()
            .create()
            .expect("properties made by the harness")
    }
}
