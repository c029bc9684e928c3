//! Rebalance events, kept until the caller's handler can answer them.
//!
//! Invariant: every event is answered once, in order; while a consumer closes,
//! at once.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;

use crate::iam;
use crate::observer::Observer;

/// A rebalance that waits for its answer.
pub(super) enum Rebalance {
    Assign(TopicPartitionList),
    Revoke {
        list: TopicPartitionList,
        is_lost: bool,
    },
}

/// Keeps rebalance events for [`super::GroupConsumer::poll_batch`]: librdkafka waits
/// for their answer, so they need not be answered inside its callback, in the
/// middle of a batch.
pub(super) struct GroupContext {
    pub(super) observer: Observer,
    pending: Mutex<VecDeque<Rebalance>>,
    pub(super) is_closing: AtomicBool,
}

impl GroupContext {
    pub(super) fn new(observer: Observer) -> Self {
        Self {
            observer,
            pending: Mutex::default(),
            is_closing: AtomicBool::new(false),
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.queue().is_empty()
    }

    pub(super) fn take_pending(&self) -> Option<Rebalance> {
        self.queue().pop_front()
    }

    pub(super) fn put_back(&self, rebalance: Rebalance) {
        self.queue().push_front(rebalance);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        iam::token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.observer.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error, reason);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let rebalance = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(list.clone())
        } else {
            Rebalance::Revoke {
                list: list.clone(),
                is_lost: consumer.assignment_lost(),
            }
        };
        if self.is_closing.load(Ordering::Relaxed) {
            answer(consumer, &rebalance);
        } else {
            self.queue().push_back(rebalance);
        }
    }
}

/// Answers a rebalance event without asking anybody.
pub(super) fn answer(consumer: &BaseConsumer<GroupContext>, rebalance: &Rebalance) {
    let result = match rebalance {
        Rebalance::Assign(list) => consumer.incremental_assign(list),
        Rebalance::Revoke { list, .. } => consumer.incremental_unassign(list),
    };
    if let Err(error) = result {
        tracing::warn!(error = %error, "a rebalance could not be answered while closing");
    }
}
