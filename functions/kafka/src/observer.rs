//! What every client of a connection does with librdkafka's logs and errors.
//!
//! Invariant: nothing that librdkafka says is lost: logs go to `tracing`,
//! errors also move the connection's health.

use std::error::Error as StdError;
use std::sync::{Mutex, PoisonError};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;

use crate::health::Health;
use crate::iam;

/// The context of clients that need nothing beyond logs and health.
#[derive(Default)]
pub(crate) struct Observer {
    health: Health,
    /// The text of the error that a poll is about to return: rdkafka hands over
    /// the bare code, the sentence (which names the topic) comes only here.
    last_reason: Mutex<String>,
}

impl Observer {
    pub(crate) fn new(health: Health) -> Self {
        Self {
            health,
            last_reason: Mutex::default(),
        }
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// What librdkafka said with its last error.
    pub(crate) fn last_reason(&self) -> String {
        self.last_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Observer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        iam::token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka logs each failed attempt to connect as an error and goes
        // on: for us it is a warning, errors are what callers get.
        match level {
            // While brokers are away these come many times a second, and say nothing that
            // `error` is not told and that the failed attempts do not say.
            _ if facility == "ERROR" => {
                tracing::debug!(kafka.facility = facility, "{message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(kafka.facility = facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::debug!(kafka.facility = facility, "{message}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::trace!(kafka.facility = facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(Code::PartitionEOF) {
            return;
        }
        reason.clone_into(
            &mut self
                .last_reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        match code {
            Some(Code::AllBrokersDown | Code::Authentication | Code::SSL) => {
                self.health.down(reason);
            }
            _ => self.health.note(reason),
        }
        tracing::debug!(kafka.error = %error, "{reason}");
    }

    fn stats(&self, _statistics: Statistics) {}

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for Observer {}
