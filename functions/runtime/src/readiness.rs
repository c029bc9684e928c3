//! Whether a function does its work now, and if not, what it lacks.
//!
//! Invariant: a function is ready only once its role has named its conditions and all of them hold;
//! until then it says that it starts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_kafka::Connection;

/// The conditions of readiness by name; clones see the same ones.
#[derive(Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

enum Condition {
    Met,
    Unmet(String),
    Kafka(Connection),
}

impl Readiness {
    /// The condition `name` holds.
    pub fn met(&self, name: &'static str) {
        self.set(name, Condition::Met);
    }

    /// The condition `name` does not hold, and why.
    pub fn unmet(&self, name: &'static str, reason: impl Into<String>) {
        self.set(name, Condition::Unmet(reason.into()));
    }

    /// The condition `name` holds while the brokers of this connection answer.
    pub fn kafka(&self, name: &'static str, connection: &Connection) {
        self.set(name, Condition::Kafka(connection.clone()));
    }

    /// What is lacking, by condition; empty where the function is ready.
    #[must_use]
    pub fn lacking(&self) -> BTreeMap<&'static str, String> {
        let conditions = self
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if conditions.is_empty() {
            return BTreeMap::from([("start", "the function is starting".to_owned())]);
        }
        conditions
            .iter()
            .filter_map(|(name, condition)| Some((*name, condition.lacking()?)))
            .collect()
    }

    fn set(&self, name: &'static str, condition: Condition) {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, condition);
    }
}

impl Condition {
    fn lacking(&self) -> Option<String> {
        match self {
            Self::Met => None,
            Self::Unmet(reason) => Some(reason.clone()),
            Self::Kafka(connection) => {
                let status = connection.health().status();
                (!status.connected).then(|| {
                    let reason = status.last_error.as_deref().unwrap_or("no answer yet");
                    format!("Kafka is unreachable: {reason}")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_ready_when_all_its_conditions_hold() {
        let readiness = Readiness::default();
        assert!(readiness.lacking().contains_key("start"));
        readiness.unmet("model", "not loaded");
        readiness.met("partitions");
        assert_eq!(
            readiness.lacking(),
            BTreeMap::from([("model", "not loaded".to_owned())])
        );
        readiness.met("model");
        assert!(readiness.lacking().is_empty());
    }

    #[test]
    fn a_cluster_that_never_answered_is_lacking() {
        let readiness = Readiness::default();
        readiness.kafka("kafka", &Connection::new(&BTreeMap::new()));
        assert_eq!(
            readiness.lacking()["kafka"],
            "Kafka is unreachable: no answer yet"
        );
    }
}
