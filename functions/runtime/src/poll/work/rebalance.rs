//! What a rebalance asks of a replica.
//!
//! Invariant: librdkafka's side of a rebalance is always answered; a failure on the way is kept for
//! the loop, which ends by it.

use millrace_kafka::{Assigned, Error, GroupConsumer, RebalanceHandler, TopicPartition};

use super::Work;

impl RebalanceHandler for Work<'_> {
    fn on_assigned(
        &mut self,
        _consumer: &GroupConsumer,
        partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        tracing::info!(partitions = ?numbers(partitions.iter().map(|part| part.partition)), "partitions assigned");
        Ok(self.partitions.assign(partitions, self.current))
    }

    fn on_revoking(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        tracing::info!(partitions = ?numbers(partitions.iter().map(|part| part.partition)), "partitions revoked");
        let committed = self.commit(consumer);
        self.keep(committed);
        self.partitions.remove(partitions);
        Ok(())
    }

    fn on_lost(&mut self, consumer: &GroupConsumer, partitions: &[TopicPartition]) {
        tracing::warn!(partitions = ?numbers(partitions.iter().map(|part| part.partition)), "partitions lost");
        self.partitions.remove(partitions);
        let undone = self.roll_back(consumer, None);
        self.keep(undone);
    }
}

fn numbers(partitions: impl Iterator<Item = i32>) -> Vec<i32> {
    partitions.collect()
}
