//! The event source mappings that bring a function its records: exactly those that are planned.
//!
//! Invariant: a mapping of another topic, cluster or group is ended before the planned one takes its place; one that is
//! being deleted is waited for.

use aws_sdk_lambda::types::{
    EventSourceMappingConfiguration, Filter, FilterCriteria, FunctionResponseType,
};
use serde_json::Value;

use super::aws::Aws;
use super::plan::{MappingPlan, signed};
use super::trouble::Trouble;

/// How far a mapping is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It brings records, or waits for some.
    Stands,
    /// AWS was told now what it shall be.
    Begun(String),
    /// AWS is at work on it.
    Changing(String),
    /// It brings nothing now, which AWS tries again by itself.
    Ailing(String),
    /// It was switched off, and stays so.
    Disabled(String),
}

/// Takes the next step towards the plans, and says how far each mapping is.
pub(super) async fn bring(
    aws: &Aws,
    cluster: &str,
    function: &str,
    plans: &[MappingPlan],
) -> Result<Vec<Stage>, Trouble> {
    let found = aws.mappings(function, true).await?;
    for mapping in found.iter().filter(|mapping| !is_ending(mapping)) {
        if !plans.iter().any(|plan| is_of(cluster, plan, mapping)) {
            aws.delete_mapping(id(mapping)).await?;
        }
    }
    let mut stages = Vec::new();
    for plan in plans {
        stages.push(one(aws, cluster, function, plan, &found).await?);
    }
    Ok(stages)
}

async fn one(
    aws: &Aws,
    cluster: &str,
    function: &str,
    plan: &MappingPlan,
    found: &[EventSourceMappingConfiguration],
) -> Result<Stage, Trouble> {
    let topic = &plan.topic;
    let mut there = found.iter().filter(|mapping| !is_ending(mapping));
    let Some(mapping) = there.find(|mapping| is_of(cluster, plan, mapping)) else {
        // AWS takes no second one of the same topic while there is a first one.
        if found.iter().any(|mapping| mapping.topics().contains(topic)) {
            return Ok(Stage::Changing(format!(
                "waits until the former mapping of {topic:?} is deleted"
            )));
        }
        aws.create_mapping(cluster, function, plan).await?;
        tracing::info!(function.name = %function, kafka.topic = %topic, "event source mapping made");
        return Ok(Stage::Begun(format!("is being given {topic:?}")));
    };
    match mapping.state().unwrap_or_default() {
        "Enabled" if !is_configured(plan, mapping) => {
            aws.update_mapping(id(mapping), plan).await?;
            Ok(Stage::Begun(format!(
                "is being given {topic:?} in another way"
            )))
        }
        "Enabled" => Ok(match mapping.last_processing_result() {
            Some(result) if result.starts_with("PROBLEM") => Stage::Ailing(format!(
                "gets no records of {topic:?} (AWS says {result:?})"
            )),
            _ => Stage::Stands,
        }),
        "Disabled" => Ok(Stage::Disabled(format!(
            "gets no records of {topic:?}, whose event source mapping is disabled (AWS says {:?})",
            mapping.state_transition_reason().unwrap_or_default()
        ))),
        state => Ok(Stage::Changing(format!(
            "is being given {topic:?}, whose event source mapping is {state}, some minutes as a rule{}; where it stays so, look at its last result and at the cluster's subnets in AWS's console",
            mapping
                .state_transition_reason()
                .map_or_else(String::new, |reason| format!(" (AWS says {reason:?})"))
        ))),
    }
}

/// Ends all mappings of a function. Says which topics AWS still lets go of.
pub(super) async fn end(aws: &Aws, function: &str, is_there: bool) -> Result<Vec<String>, Trouble> {
    let found = aws.mappings(function, is_there).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    for mapping in found.iter().filter(|mapping| !is_ending(mapping)) {
        aws.delete_mapping(id(mapping)).await?;
    }
    Ok(topics(&aws.mappings(function, is_there).await?))
}

/// The topics whose records mappings bring to a function.
pub(super) async fn brought(aws: &Aws, function: &str) -> Result<Vec<String>, Trouble> {
    Ok(topics(&aws.mappings(function, true).await?))
}

fn topics(mappings: &[EventSourceMappingConfiguration]) -> Vec<String> {
    let topics = mappings
        .iter()
        .flat_map(EventSourceMappingConfiguration::topics);
    topics.cloned().collect()
}

fn id(mapping: &EventSourceMappingConfiguration) -> &str {
    mapping.uuid().unwrap_or_default()
}

fn is_ending(mapping: &EventSourceMappingConfiguration) -> bool {
    mapping.state() == Some("Deleting")
}

/// Whether it is the planned one, as far as that cannot be changed.
fn is_of(cluster: &str, plan: &MappingPlan, mapping: &EventSourceMappingConfiguration) -> bool {
    let kafka = mapping.amazon_managed_kafka_event_source_config();
    let group = kafka.and_then(|kafka| kafka.consumer_group_id());
    mapping.event_source_arn() == Some(cluster)
        && mapping.topics() == [plan.topic.clone()]
        && group == Some(plan.group.as_str())
}

fn is_configured(plan: &MappingPlan, mapping: &EventSourceMappingConfiguration) -> bool {
    let pollers = mapping.provisioned_poller_config();
    let group = pollers.and_then(|it| it.poller_group_name());
    let pollers = pollers.and_then(|it| Some((it.minimum_pollers()?, it.maximum_pollers()?)));
    let wanted = plan.pollers;
    let wanted = wanted.map(|it| (signed(it.minimum), signed(it.maximum)));
    let partial = mapping.function_response_types();
    let partial = partial.contains(&FunctionResponseType::ReportBatchItemFailures);
    let on_failure = mapping.destination_config().and_then(|it| it.on_failure());
    let on_failure = on_failure.and_then(|it| it.destination());
    let window = mapping.maximum_batching_window_in_seconds();
    mapping.batch_size() == Some(plan.batch_size)
        // AWS's own half a second cannot be asked for.
        && (plan.window_seconds.is_none() || plan.window_seconds == window)
        && pollers == wanted
        && group.filter(|group| !group.is_empty()) == plan.poller_group.as_deref()
        && filters(mapping) == plan.filters
        && (wanted.is_none() || gives_up_as(plan, mapping))
        && partial == wanted.is_some()
        && on_failure == plan.on_failure.as_deref()
        && mapping.source_access_configurations() == plan.login.access()
}

/// AWS writes a negative number for no limit.
fn gives_up_as(plan: &MappingPlan, mapping: &EventSourceMappingConfiguration) -> bool {
    let limit = |given: Option<i32>| given.filter(|given| *given >= 0);
    limit(mapping.maximum_retry_attempts()) == plan.retries
        && limit(mapping.maximum_record_age_in_seconds()) == plan.age_seconds
        && mapping.bisect_batch_on_function_error().unwrap_or(false) == plan.bisects
}

/// What it filters by; AWS may have written it otherwise than it was given.
fn filters(mapping: &EventSourceMappingConfiguration) -> Vec<Value> {
    let criteria = mapping.filter_criteria();
    let filters = criteria.map(FilterCriteria::filters).unwrap_or_default();
    let patterns = filters.iter().filter_map(Filter::pattern);
    patterns
        .map(|pattern| serde_json::from_str(pattern).unwrap_or_default())
        .collect()
}
