//! Names: which ones users may give, and how the topics, consumer groups and transactional ids
//! that Millrace owns are called. All of these start with the connection's prefix.

use serde::{Deserialize, Serialize};

use crate::function::ORDINAL;

/// A name that does not follow the rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a valid name: use 1 to 63 letters, digits, '-' and '_', beginning with a letter or digit"
)]
pub struct InvalidName {
    /// What was given.
    pub name: String,
}

/// Checks a name of a project, model, alias, datasource, connection or inference.
///
/// Dots, slashes and `@` are left out because names become parts of topic names
/// (`millrace.dlq.<inference>`) and of registry keys (`project/model@alias`).
///
/// # Errors
/// [`InvalidName`] with the name.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let mut bytes = name.bytes();
    let begins_well = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let goes_on_well = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if begins_well && goes_on_well && name.len() <= 63 {
        Ok(())
    } else {
        Err(InvalidName {
            name: name.to_owned(),
        })
    }
}

/// A topic's name that Kafka does not take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{topic:?} cannot be the name of a topic: Kafka takes 1 to 249 letters, digits, '.', '_' and '-', and neither \".\" nor \"..\" alone"
)]
pub struct InvalidTopic {
    /// What was given.
    pub topic: String,
}

/// Checks the name of a topic by Kafka's rule.
///
/// # Errors
/// [`InvalidTopic`] with the name.
pub fn check_topic(topic: &str) -> Result<(), InvalidTopic> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_reserved = matches!(topic, "" | "." | "..");
    if !is_reserved && topic.len() <= 249 && topic.bytes().all(is_legal) {
        return Ok(());
    }
    Err(InvalidTopic {
        topic: topic.to_owned(),
    })
}

/// Templates of the names that Millrace gives on a connection. `{prefix}` stands for the
/// connection's prefix and `{inference}` for the inference's qualified name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicTemplates {
    /// Commands that trigger trainings.
    pub training: String,
    /// What functions report.
    pub events: String,
    /// Which version each alias points at (compacted).
    pub registry: String,
    /// Records that an inference could not answer.
    pub dead_letter: String,
    /// Dead letters sent back to their inference.
    pub redrive: String,
    /// Records that a training could not use.
    pub training_dead_letter: String,
}

impl Default for TopicTemplates {
    fn default() -> Self {
        Self {
            training: "{prefix}.training".to_owned(),
            events: "{prefix}.events".to_owned(),
            registry: "{prefix}.registry".to_owned(),
            dead_letter: "{prefix}.dlq.{inference}".to_owned(),
            redrive: "{prefix}.redrive.{inference}".to_owned(),
            training_dead_letter: "{prefix}.training.dlq".to_owned(),
        }
    }
}

impl TopicTemplates {
    /// Checks that every template makes names of topics, and each topic has its own.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            training,
            events,
            registry,
            dead_letter,
            redrive,
            training_dead_letter,
        } = self;
        let shared = [training, events, registry, training_dead_letter];
        let own = [dead_letter, redrive];
        let mut all: Vec<&String> = shared.into_iter().chain(own).collect();
        for template in &all {
            let text = template.replace("{prefix}", "").replace("{inference}", "");
            if !template.starts_with("{prefix}") || !is_topic_text(&text) {
                return Err(format!(
                    "{template:?} is no template for topics: begin with {{prefix}}, go on with letters, digits, '.', '_', '-'"
                ));
            }
        }
        if own.iter().any(|template| !template.contains("{inference}")) {
            return Err(
                "the templates dead_letter and redrive need {inference}: each inference has its own"
                    .to_owned(),
            );
        }
        all.sort_unstable();
        all.dedup();
        if all.len() < 6 {
            return Err("two topics have one template: give each its own".to_owned());
        }
        Ok(())
    }
}

/// Checks the prefix of a connection's topics.
///
/// # Errors
/// The rule that is broken.
pub fn check_prefix(prefix: &str) -> Result<(), String> {
    if !prefix.is_empty() && is_topic_text(prefix) {
        return Ok(());
    }
    Err(format!(
        "{prefix:?} cannot be the prefix of topics: use letters, digits, '.', '_' and '-'"
    ))
}

fn is_topic_text(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// All names that Millrace uses on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    templates: TopicTemplates,
}

impl Names {
    /// Names with this prefix by these templates.
    #[must_use]
    pub fn new(prefix: &str, templates: TopicTemplates) -> Self {
        Self {
            prefix: prefix.to_owned(),
            templates,
        }
    }

    /// Whether a topic of this name is Millrace's own: nobody else writes to it.
    #[must_use]
    pub fn owns(&self, topic: &str) -> bool {
        let rest = topic.strip_prefix(&self.prefix);
        rest.is_some_and(|rest| rest.starts_with('.'))
    }

    /// The command topic of trainings.
    #[must_use]
    pub fn training(&self) -> String {
        self.fill(&self.templates.training, "")
    }

    /// The topic of events.
    #[must_use]
    pub fn events(&self) -> String {
        self.fill(&self.templates.events, "")
    }

    /// The compacted topic of aliases.
    #[must_use]
    pub fn registry(&self) -> String {
        self.fill(&self.templates.registry, "")
    }

    /// The topic of records that trainings could not use.
    #[must_use]
    pub fn training_dead_letter(&self) -> String {
        self.fill(&self.templates.training_dead_letter, "")
    }

    /// The dead letters of one inference.
    #[must_use]
    pub fn dead_letter(&self, project: &str, inference: &str) -> String {
        self.fill(&self.templates.dead_letter, &qualified(project, inference))
    }

    /// The redriven dead letters of one inference.
    #[must_use]
    pub fn redrive(&self, project: &str, inference: &str) -> String {
        self.fill(&self.templates.redrive, &qualified(project, inference))
    }

    /// The consumer group of the training pool.
    #[must_use]
    pub fn training_group(&self) -> String {
        format!("{}.training", self.prefix)
    }

    /// The consumer group of one inference.
    #[must_use]
    pub fn inference_group(&self, project: &str, inference: &str) -> String {
        format!(
            "{}.inference.{}",
            self.prefix,
            qualified(project, inference)
        )
    }

    /// The `transactional.id` of the replicas of an inference, where each puts its own ordinal for [`ORDINAL`]: stable
    /// over restarts, so that a successor fences whatever its predecessor left open.
    #[must_use]
    pub fn transactional_id(&self, project: &str, inference: &str) -> String {
        format!("{}.{ORDINAL}", self.inference_group(project, inference))
    }

    fn fill(&self, template: &str, inference: &str) -> String {
        template
            .replace("{prefix}", &self.prefix)
            .replace("{inference}", inference)
    }
}

/// An inference's name, preceded by its project's unless that is `default`. A dot cannot be part
/// of a name, so two inferences never share a qualified name.
fn qualified(project: &str, inference: &str) -> String {
    if project == "default" {
        inference.to_owned()
    } else {
        format!("{project}.{inference}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "digits", "Digits_2-b", "0", &"x".repeat(63)] {
            check(good).unwrap();
        }
        for bad in ["", "-a", "a.b", "a/b", "a@b", "é", "a b", &"x".repeat(64)] {
            assert_eq!(check(bad).unwrap_err().name, bad);
        }
    }

    #[test]
    fn topics_have_the_names_that_kafka_takes() {
        for topic in ["a", "a.b_c-D9", &"x".repeat(249)] {
            check_topic(topic).unwrap();
        }
        for topic in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(250)] {
            let error = check_topic(topic).unwrap_err();
            assert!(error.to_string().contains("249 letters"), "{error}");
        }
    }

    #[test]
    fn owned_names_begin_with_the_prefix_and_keep_projects_apart() {
        let names = Names::new("acme", TopicTemplates::default());
        assert_eq!(names.training(), "acme.training");
        assert!(names.owns("acme.dlq.any") && !names.owns("acmes.own") && !names.owns("acme"));
        assert_eq!(names.dead_letter("default", "digits"), "acme.dlq.digits");
        assert_eq!(names.redrive("blue", "digits"), "acme.redrive.blue.digits");
        assert_eq!(
            names.transactional_id("default", "digits"),
            "acme.inference.digits.{ordinal}"
        );
    }
}
