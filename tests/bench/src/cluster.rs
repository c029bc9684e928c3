//! The Kafka of the bench, with what it needs to fill topics and to look at groups.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_harness::{Kafka, unique};
use millrace_kafka::{Admin, Connection, GroupOffset, OutRecord, TransactionalProducer};

/// How many partitions input and output have.
const PARTITIONS: i32 = 4;
/// How long one request may take, and one transaction stay open, on a machine that is busy otherwise.
const LIMIT: Duration = Duration::from_mins(5);

/// A real Kafka.
pub(crate) struct Cluster {
    /// As a function gets it.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) admin: Admin,
    feeder: TransactionalProducer,
}

/// How far to read: for each partition the offset behind the last record.
pub(crate) type Ends = BTreeMap<i32, i64>;

impl Cluster {
    /// The broker that the tests share, or one for this process.
    pub(crate) fn open() -> Result<Self> {
        let properties = Kafka::shared().client_properties().clone();
        let connection = Connection::new(&properties);
        let feeder = TransactionalProducer::new(&connection, &unique("bench-feeder"), LIMIT)?;
        feeder.init(LIMIT)?;
        Ok(Self {
            admin: Admin::new(&connection)?,
            properties,
            feeder,
        })
    }

    /// Makes a topic of a new name.
    pub(crate) fn topic(&self, prefix: &str) -> Result<String> {
        let name = unique(prefix);
        self.admin
            .create_topic(&name, PARTITIONS, 1, &BTreeMap::new())?;
        Ok(name)
    }

    /// A group that stands at the beginning of a topic.
    pub(crate) fn group(&self, topic: &str) -> Result<String> {
        let name = unique("bench-group");
        let offsets: Vec<GroupOffset> = (0..PARTITIONS)
            .map(|partition| GroupOffset::new(topic, partition, 0))
            .collect();
        self.admin.commit(&name, &offsets)?;
        Ok(name)
    }

    /// Writes so many records, which take turns, in a transaction that stays open: readers of committed
    /// records see none of them until [`Cluster::release`], and then all at once.
    pub(crate) fn fill(&self, topic: &str, records: &[Vec<u8>], count: usize) -> Result<Ends> {
        self.feeder.begin()?;
        let partitions = (0..PARTITIONS).cycle();
        for (value, partition) in records.iter().cycle().zip(partitions).take(count) {
            let record = OutRecord::to(topic).partition(partition).value(value);
            self.feeder.send(&record)?;
        }
        self.feeder.flush(LIMIT)?;
        let marks = self.admin.watermarks(topic)?;
        Ok(marks
            .into_iter()
            .map(|marks| (marks.partition, marks.high))
            .collect())
    }

    /// Commits the open transaction.
    pub(crate) fn release(&self) -> Result<()> {
        self.feeder
            .commit(LIMIT)
            .context("the records could not be written")
    }
}
