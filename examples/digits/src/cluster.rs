//! The Kafka cluster as Millrace reaches it, for what the demo does there itself: it reads answers back, and removes what
//! it left on somebody's own broker.

use anyhow::{Context as _, Result};
use millrace_kafka::{Admin, Connection};
use millrace_wire::name::{Names, TopicTemplates};
use serde_json::json;

use crate::graphql::execute;

const CLUSTER: &str = "{ project { connection { prefix properties } } }";

/// The cluster of the connection `default`.
pub struct Cluster {
    /// How to reach it.
    pub connection: Connection,
    prefix: String,
}

impl Cluster {
    /// Asks the API at `url`.
    pub async fn of(url: &str) -> Result<Self> {
        let mut found = execute(url, CLUSTER, json!({})).await?;
        let found = found["project"]["connection"].take();
        let properties = serde_json::from_value(found["properties"].clone())?;
        let prefix = found["prefix"].as_str();
        Ok(Self {
            connection: Connection::new(&properties),
            prefix: prefix.context("a connection has a prefix")?.to_owned(),
        })
    }

    /// Removes the topics of a run, whose names begin with its prefix or end with its name, and the inference's group. Blocks.
    pub fn clean(&self, run: &str) -> Result<()> {
        let admin = Admin::new(&self.connection)?;
        let topics = admin.topics()?;
        let ours = |name: &&str| {
            name.strip_prefix(&self.prefix)
                .is_some_and(|rest| rest.starts_with('.'))
                || name.ends_with(run)
        };
        let topics: Vec<&str> = topics.iter().map(String::as_str).filter(ours).collect();
        admin.delete_topics(&topics)?;
        let names = Names::new(&self.prefix, TopicTemplates::default());
        // The training functions' group waits for its members for a while; without its topic Kafka forgets it by itself.
        admin.delete_group(&names.inference_group("default", "digits"))?;
        Ok(())
    }
}
