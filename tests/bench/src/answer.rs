//! One answer of an inference, which a copy may write in place of what it reads: then both write the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_kafka::{Connection, Tail, TailEvent};
use rdkafka::message::{Header, OwnedHeaders};
use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;

const LIMIT: Duration = Duration::from_secs(30);

/// A record's value and headers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// One of the last answers in a topic, since offsets in them have as many digits as most.
    pub(crate) fn of(cluster: &Cluster, topic: &str) -> Result<Self> {
        let marks = cluster.admin.watermarks(topic)?;
        // The last offset is that of a transaction's marker.
        let starts: BTreeMap<i32, i64> = marks
            .iter()
            .map(|mark| (mark.partition, mark.low.max(mark.high - 2)))
            .collect();
        let mut tail = Tail::open(&Connection::new(&cluster.properties), topic, &starts)?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let TailEvent::Record(record) = tail.poll(LIMIT)? {
                let headers = record.headers.into_iter();
                return Ok(Self {
                    value: record.value.unwrap_or_default(),
                    headers: headers
                        .map(|(name, value)| (name, value.unwrap_or_default()))
                        .collect(),
                });
            }
        }
        bail!("the topic {topic} holds no answer")
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, serde_json::to_vec(self)?)?)
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The headers as rdkafka takes them.
    pub(crate) fn headers(&self) -> OwnedHeaders {
        let empty = OwnedHeaders::new_with_capacity(self.headers.len());
        self.headers.iter().fold(empty, |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
    }
}
