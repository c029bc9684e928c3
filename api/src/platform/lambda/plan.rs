//! What shall be in AWS for one inference: a function, and a mapping for each topic that it reads.
//!
//! Invariant: what AWS would refuse for good, and would refuse with words that do not help, is refused here.

use std::collections::BTreeMap;

use millrace_wire::function::{
    Connection, FunctionSpec, InferenceSpec, Invocations, Role, Trigger, VARIABLE,
};
use millrace_wire::record::RecordFormat;
use serde_json::Value;
use uuid::Uuid;

use super::login::Login;
use super::options::{LambdaOptions, Pollers};
use super::settings::Settings;
use super::trouble::Trouble;

/// The variable of the log's level.
const LOG: &str = "MILLRACE_LOG";
/// What Lambda takes for all variables together, names and values, in bytes.
const VARIABLES: usize = 4096;
/// The longest name of a consumer group that a mapping takes.
const LONGEST_GROUP: usize = 200;
/// How long an event may take where nobody says otherwise: a cold start with a large model, and a run.
const TIMEOUT_SECONDS: u32 = 120;
/// The largest event.
const LARGEST_BATCH: u32 = 10_000;

/// What shall be there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) function: FunctionPlan,
    pub(super) mappings: Vec<MappingPlan>,
}

/// The function.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FunctionPlan {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) spec: FunctionSpec,
    pub(super) log: String,
    pub(super) memory_mib: i32,
    pub(super) timeout_seconds: i32,
    pub(super) concurrency: Option<i32>,
}

/// What brings the records of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MappingPlan {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) batch_size: i32,
    pub(super) window_seconds: Option<i32>,
    pub(super) pollers: Option<Pollers>,
    /// Those whose pollers share what AWS charges for by the hour.
    pub(super) poller_group: Option<String>,
    /// What is given up when, of those with pollers of their own; never where it is left out.
    pub(super) retries: Option<i32>,
    pub(super) age_seconds: Option<i32>,
    pub(super) bisects: bool,
    /// As AWS writes them.
    pub(super) filters: Vec<Value>,
    pub(super) on_failure: Option<String>,
    pub(super) login: Login,
}

/// The consumer group that brings back dead letters: a mapping reads one topic, and no two mappings may have the same
/// group. No name of an inference has a colon, so that it is nobody else's.
pub(in crate::platform) fn redrive_group(group: &str) -> String {
    format!("{group}:redrive")
}

impl Plan {
    /// The plan for a function with this specification.
    pub(super) fn new(
        settings: &Settings,
        id: Uuid,
        spec: FunctionSpec,
        options: &LambdaOptions,
    ) -> Result<Self, Trouble> {
        let Role::Inference(inference) = &spec.role else {
            return Err(Trouble::refused(
                "makes functions of inferences only: Terraform makes the training pool",
            ));
        };
        if let Some(control) = &spec.control {
            same_cluster(&control.connection, &inference.connection)?;
        }
        let tags = BTreeMap::from([
            (settings.tag_key.clone(), settings.prefix.clone()),
            ("millrace:inference".to_owned(), label(inference)),
        ]);
        let name = settings.function_name(id);
        let mappings = mappings(inference, options, &tags, &name)?;
        let description = format!("Millrace's inference {}", label(inference));
        let trigger = Trigger::Lambda(Invocations {
            // Only mappings with pollers of their own look at what was answered in part.
            partial: options.pollers.is_some(),
        });
        let function = FunctionPlan {
            name,
            description,
            tags,
            spec: spec.triggered_by(trigger),
            log: settings.log.clone(),
            memory_mib: signed(options.memory_mib.unwrap_or(settings.memory_mib)),
            timeout_seconds: signed(options.timeout_seconds.unwrap_or(TIMEOUT_SECONDS)),
            concurrency: options.maximum_concurrency.map(signed),
        };
        let variables = function.variables();
        let size: usize = variables.iter().map(|(key, it)| key.len() + it.len()).sum();
        if size > VARIABLES {
            return Err(Trouble::refused(format!(
                "gives a function {VARIABLES} bytes of environment variables, and this inference's specification takes {size}: a long schema or many outputs make it so; describe fewer fields, or run it on \"local\""
            )));
        }
        Ok(Self { function, mappings })
    }
}

impl FunctionPlan {
    /// The function's environment.
    pub(super) fn variables(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([(VARIABLE, self.spec.to_json()), (LOG, self.log.clone())])
    }
}

fn mappings(
    inference: &InferenceSpec,
    options: &LambdaOptions,
    tags: &BTreeMap<String, String>,
    function: &str,
) -> Result<Vec<MappingPlan>, Trouble> {
    if !options.filters.is_empty()
        && !matches!(&inference.input_format, RecordFormat::Json(json) if !json.registry)
    {
        return Err(Trouble::refused(
            "filters by what stands in a JSON document, and the records of this inference are none, or have the id of a schema before it: leave `filters` out",
        ));
    }
    let login = Login::of(&inference.connection)?;
    let batch_size = options.batch_size.unwrap_or(inference.batching.max_batch);
    let mapping = |topic: &String, group: String| {
        if group.len() > LONGEST_GROUP {
            return Err(Trouble::refused(format!(
                "takes names of consumer groups with {LONGEST_GROUP} characters at most, and {group:?} is longer; choose shorter names, or a shorter kafka.prefix"
            )));
        }
        Ok(MappingPlan {
            topic: topic.clone(),
            group,
            tags: tags.clone(),
            batch_size: signed(batch_size.clamp(1, LARGEST_BATCH)),
            window_seconds: options.window_seconds.map(signed),
            pollers: options.pollers,
            poller_group: options.pollers.map(|_| function.to_owned()),
            retries: options.retries.map(signed),
            age_seconds: options.record_age_seconds.map(signed),
            bisects: options.bisect,
            filters: Vec::new(),
            on_failure: options.on_failure.clone(),
            login: login.clone(),
        })
    };
    let mut mappings = vec![MappingPlan {
        // What is sent back passed them once.
        filters: options.filters.clone(),
        ..mapping(&inference.input_topic, inference.group.clone())?
    }];
    if let Some(redrive) = &inference.redrive_topic {
        mappings.push(mapping(redrive, redrive_group(&inference.group))?);
    }
    Ok(mappings)
}

/// The mappings read from the cluster that the settings name, which is that of Millrace's own topics.
fn same_cluster(control: &Connection, input: &Connection) -> Result<(), Trouble> {
    let servers = |of: &Connection| of.get("bootstrap.servers").cloned().unwrap_or_default();
    let (own, other) = (servers(control), servers(input));
    if own == other {
        return Ok(());
    }
    Err(Trouble::refused(format!(
        "reads from the cluster of platform.lambda.cluster alone, which is at {own:?}; this inference's connection leads to {other:?}: run it on \"local\""
    )))
}

fn label(inference: &InferenceSpec) -> String {
    format!("{}/{}", inference.project, inference.name)
}

/// AWS counts with signs. All numbers that come here were checked, and are far smaller.
pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
