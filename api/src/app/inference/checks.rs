//! What is looked at before an inference is made, where Kafka need not be asked.

use millrace_entity::inference::{self, OutputFormat};
use millrace_entity::{connection, datasource, segment};
use millrace_wire::function::{Batching, HandOn};
use millrace_wire::name::{self, Names};
use millrace_wire::prediction::{Choice, Form};

use super::create::NewInference;
use super::extent::Extent;
use super::moving::Destination;
use crate::app::connection as connections;
use crate::app::reconciler::{Settings, specs};
use crate::app::{App, Code, Error, Result};
use crate::platform::{Deployment, Owner, Platform};

/// Predictions must not come back as records, and do not go where others write.
pub(super) fn refuse_topics(
    row: &inference::Model,
    hand_on: Option<&HandOn>,
    names: &Names,
) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::InvalidInput, message));
    let input = &row.input_topic;
    if row.dead_letter_topic == *input {
        return invalid(format!(
            "the inference would read what it writes: {input:?} is where its dead letters go"
        ));
    }
    let handed_on = hand_on.map(|hand_on| &hand_on.topic);
    if handed_on == Some(&row.output_topic) {
        return invalid(format!(
            "{:?} cannot hold answers and what is handed on: choose another topic for one of them",
            row.output_topic
        ));
    }
    for output in [Some(&row.output_topic), handed_on].into_iter().flatten() {
        if output == input {
            return invalid(format!(
                "the inference would read what it writes: {input:?} is its input; choose another output topic"
            ));
        }
        if *output == row.dead_letter_topic {
            return invalid(format!(
                "{output:?} is where this inference's dead letters go; choose another output topic"
            ));
        }
        if output.starts_with("__") {
            return invalid(format!(
                "the topic {output:?} is one that Kafka and its tools keep for themselves; choose an output topic whose name does not begin with `__`"
            ));
        }
        if names.owns(output) {
            return invalid(format!(
                "the topic {output:?} is one of Millrace's own; choose an output topic whose name does not begin with the connection's prefix"
            ));
        }
    }
    Ok(())
}

/// The longest pause between two commits: Kafka ends a transaction that is open for longer than 30 s.
const LONGEST_COMMIT_INTERVAL_MS: u32 = 10_000;

/// Checks what shall be written of the outputs, as far as no model is needed.
pub(super) fn check_written(new: &NewInference) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::InvalidInput, message));
    for (place, choice) in new.outputs.iter().enumerate() {
        let name = &choice.name;
        if new.outputs[..place].iter().any(|other| other.name == *name) {
            return invalid(format!("the output {name:?} is named twice"));
        }
        if choice.form == Form::TopK(0) {
            return invalid(format!("the output {name:?} takes at least 1 class (`k`)"));
        }
        if choice.threshold.is_some() && choice.form == Form::Raw && choice.classes.is_empty() {
            return invalid(format!(
                "a threshold leaves classes out: name the classes of the output {name:?}, or take it as ARGMAX or TOP_K"
            ));
        }
        if choice.threshold.is_some_and(f64::is_nan) {
            return invalid(format!("the threshold of the output {name:?} is no number"));
        }
    }
    if let Some(hand_on) = &new.hand_on {
        name::check_topic(&hand_on.topic)?;
        if !hand_on.below.is_finite() {
            return invalid("`below` is a finite number".to_owned());
        }
    }
    let are_whole = new
        .outputs
        .iter()
        .all(|one| *one == Choice::whole(&one.name));
    match new.output_format {
        OutputFormat::KafkaMl if new.outputs.len() > 1 || !are_whole || new.echo_input => invalid(
            "KAFKA_ML has the values of one output, as its consumers expect; take JSON for more"
                .to_owned(),
        ),
        OutputFormat::Raw if !are_whole || new.echo_input => invalid(
            "RAW has the bytes of whole outputs, and nothing else; take JSON or AVRO for more"
                .to_owned(),
        ),
        OutputFormat::Avro if new.echo_input => {
            invalid("only JSON has a place for the input (`echoInput`)".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses outputs by a registry's schema where there is no registry to give it to.
pub(super) fn check_registry(new: &NewInference, connection: &connection::Model) -> Result<()> {
    if new.output_format != OutputFormat::Avro {
        return Ok(());
    }
    let properties = connections::properties_of(connection)?;
    if properties.contains_key("schema.registry.url") {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidInput,
        "AVRO is written by a schema that a registry knows, and the connection names none with Confluent's interface: set its property schema.registry.url",
    ))
}

/// The longest deadline of a run: a member that does not poll for five minutes loses its partitions.
const LONGEST_RUN_MS: u32 = 240_000;

pub(super) fn check_batching(batching: &Batching) -> Result<()> {
    if batching.commit_interval_ms > LONGEST_COMMIT_INTERVAL_MS {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "commitIntervalMs is at most {LONGEST_COMMIT_INTERVAL_MS}: Kafka ends a transaction that stays open for longer"
            ),
        ));
    }
    if !(1..=LONGEST_RUN_MS).contains(&batching.run_deadline_ms) {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "runDeadlineMs is 1 to {LONGEST_RUN_MS}: a replica that is silent for longer is put out of its group"
            ),
        ));
    }
    if batching.max_batch == 0 || batching.max_bytes == 0 || batching.commit_interval_ms == 0 {
        return Err(Error::new(
            Code::InvalidInput,
            "a batch has at least 1 record and 1 byte, and commits are at least 1 ms apart",
        ));
    }
    Ok(())
}

/// Refuses what a platform cannot do: an inference of the `whole` input, or of a part of it.
pub(super) fn check_platform(app: &App, new: &Destination, whole: bool) -> Result<()> {
    let refuse = |message: String| Err(Error::new(Code::InvalidInput, message));
    let Some(platform) = app.platforms.named(&new.platform) else {
        return Err(Error::new(
            Code::NotFound,
            format!(
                "there is no platform {:?}; functions run on {:?}",
                new.platform,
                app.platforms.names()
            ),
        ));
    };
    new.options.check(&new.platform).or_else(refuse)?;
    if !platform.guarantees().contains(&new.guarantee) {
        return refuse(format!(
            "the platform {:?} cannot promise this guarantee; ask for AT_LEAST_ONCE",
            new.platform
        ));
    }
    if platform.is_pushed() && !whole {
        return refuse(format!(
            "on the platform {:?} nobody brings records of a part of the input alone; answer it on \"local\"",
            new.platform
        ));
    }
    check_scale(app, &new.platform, new.replicas)
}

/// Refuses what the inference's platform would refuse for good when it is asked for the functions, before anything stops or
/// begins for it. One that is not configured is waited for.
pub(super) async fn check_functions(app: &App, row: &inference::Model) -> Result<()> {
    let Some(platform) = app.platforms.named(&row.platform) else {
        return Ok(());
    };
    // As it will be once its topics are made.
    let settings = Settings {
        has_redrive: true,
        ..Settings::of(row)?
    };
    let options = settings.platform.clone();
    let row = inference::Model {
        settings: serde_json::to_value(settings).map_err(Error::internal)?,
        ..row.clone()
    };
    let deployment = Deployment {
        functions: specs(app, &row).await?,
        options,
    };
    platform
        .check(Owner::Inference(row.id), &deployment)
        .map_err(|reason| {
            Error::new(
                Code::InvalidInput,
                format!("the platform {:?} {reason}", row.platform),
            )
        })
}

/// Refuses a number of replicas where the platform decides about it.
pub(super) fn check_scale(app: &App, platform: &str, replicas: i32) -> Result<()> {
    let is_pushed = app
        .platforms
        .named(platform)
        .is_some_and(Platform::is_pushed);
    if is_pushed && replicas != 1 {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "the platform {platform:?} decides by itself how many processes work; leave out `replicas`"
            ),
        ));
    }
    Ok(())
}

/// The fastest limit that can be asked for, which is none on any machine.
const FASTEST: u32 = 100_000_000;

/// Checks the limit on the rate.
pub(super) fn check_rate(new: &NewInference) -> Result<()> {
    let Some(rate) = new.records_per_second else {
        return Ok(());
    };
    let invalid = |message: String| Err(Error::new(Code::InvalidInput, message));
    if matches!(new.extent, Extent::From(_)) {
        return invalid(
            "recordsPerSecond slows a replay down; say where this inference ends (`end` or `segment`), or leave it out"
                .to_owned(),
        );
    }
    if !(1..=FASTEST).contains(&rate) {
        return invalid(format!("recordsPerSecond is 1 to {FASTEST}"));
    }
    Ok(())
}

/// The topic of the input: that of the segment where there is one, which must be the datasource's.
pub(super) fn input_topic(
    new: &NewInference,
    source: &datasource::Model,
    segment: Option<&segment::Model>,
    connection: &connection::Model,
) -> Result<String> {
    let named = new.input_topic.as_ref();
    let Some(segment) = segment else {
        return Ok(named.unwrap_or(&source.topic).clone());
    };
    if segment.datasource_id != source.id
        || named.is_some_and(|named| *named != segment.topic)
        || connection.id != source.connection_id
    {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "the segment holds records of the topic {:?} and of its own datasource; name that datasource, and no other `inputTopic` or `connection`",
                segment.topic
            ),
        ));
    }
    Ok(segment.topic.clone())
}
