//! The making of an inference: everything is checked, and where it begins is fixed, before its row
//! is written; topics, offsets and functions then follow from the row.

use millrace_entity::connection::TopicPolicy;
use millrace_entity::inference::{self, Desired, Guarantee, OutputFormat, State};
use millrace_kafka::TopicDescription;
use millrace_wire::function::{Batching, HandOn, NotFinite};
use millrace_wire::name;
use millrace_wire::prediction::Choice;
use sea_orm::{ActiveModelTrait as _, IntoActiveModel as _};
use serde_json::json;
use uuid::Uuid;

use super::checks::{
    check_batching, check_functions, check_platform, check_rate, check_registry, check_written,
    input_topic, refuse_topics,
};
use super::extent::Extent;
use super::moving::Destination;
use super::rescore::refuse_second;
use super::span::Span;
use super::{check_replicas, find};
use crate::app::reconciler::topics::needs;
use crate::app::reconciler::{Presence, Settings};
use crate::app::version::{self as versions, Selector};
use crate::app::{
    App, Change, Cluster, Code, Error, Result, compatibility, connection,
    datasource as datasources, model as models, project as projects,
};
use crate::platform::Options;

/// What a new inference is made from.
#[derive(Debug, Clone)]
pub struct NewInference {
    /// Its name.
    pub name: String,
    /// Where its records are described.
    pub datasource: String,
    /// The model.
    pub model: String,
    /// Which version of it; an alias is followed wherever it moves.
    pub version: Selector,
    /// The cluster of its topics; the datasource's without.
    pub connection: Option<String>,
    /// Where records come from; the datasource's topic without.
    pub input_topic: Option<String>,
    /// Where predictions go.
    pub output_topic: String,
    /// What is promised about each record.
    pub guarantee: Guarantee,
    /// How predictions are written.
    pub output_format: OutputFormat,
    /// Which outputs of the model are written, and how; all of them where none is named.
    pub outputs: Vec<Choice>,
    /// Whether the record is written beside its prediction.
    pub echo_input: bool,
    /// What becomes of outputs with numbers that are not finite.
    pub not_finite: NotFinite,
    /// Which records are handed on in place of an answer.
    pub hand_on: Option<HandOn>,
    /// Which records of its input it answers.
    pub extent: Extent,
    /// Records a second at most, where that ends.
    pub records_per_second: Option<u32>,
    /// How many functions share the work.
    pub replicas: i32,
    /// Where they run.
    pub platform: String,
    /// What only that platform has to be told.
    pub options: Options,
    /// How batches form.
    pub batching: Batching,
}

/// Makes an inference. It begins to work by itself.
///
/// # Errors
/// `INVALID_INPUT`, `NOT_FOUND`, `ALREADY_EXISTS`, `INCOMPATIBLE`, `TOPIC_NOT_FOUND`, `IN_USE`
/// where its group has members, and Kafka's own.
pub async fn create(app: &App, project: &str, new: NewInference) -> Result<inference::Model> {
    let accepted = app.now();
    name::check(&new.name)?;
    name::check_topic(&new.output_topic)?;
    if let Some(topic) = &new.input_topic {
        name::check_topic(topic)?;
    }
    check_replicas(new.replicas)?;
    check_batching(&new.batching)?;
    check_written(&new)?;
    check_rate(&new)?;
    let destination = Destination {
        platform: new.platform.clone(),
        guarantee: new.guarantee,
        replicas: new.replicas,
        options: new.options.clone(),
    };
    check_platform(app, &destination, matches!(new.extent, Extent::From(_)))?;

    let database = &app.database;
    let project = projects::find(database, project).await?;
    refuse_taken(app, project.id, &new.name).await?;
    let datasource = datasources::find(database, project.id, &new.datasource).await?;
    let model = models::find(database, project.id, &new.model).await?;
    let version = versions::select(database, &model, &new.version).await?;
    let signature = versions::signature(&version)?;
    compatibility::check(&signature, &datasources::format(&datasource)?)?;
    compatibility::check_outputs(&signature, &new.outputs, new.hand_on.as_ref())?;

    let connection = match &new.connection {
        Some(name) => connection::find(database, project.id, name).await?,
        None => connection::get(database, datasource.connection_id).await?,
    };
    check_registry(&new, &connection)?;
    let cluster = app.clusters.get(&connection)?;
    let segment = new.extent.segment(app, project.id).await?;
    let segment = segment.as_ref();
    let input_topic = input_topic(&new, &datasource, segment, &connection)?;
    let names = cluster.names();
    let alias = match &new.version {
        Selector::Alias(alias) => Some(alias.clone()),
        Selector::Latest | Selector::Number(_) => None,
    };
    let mut row = inference::Model {
        id: app.new_id(),
        project_id: project.id,
        datasource_id: datasource.id,
        model_id: model.id,
        version_id: alias.is_none().then_some(version.id),
        alias,
        connection_id: connection.id,
        input_topic,
        input_topic_id: String::new(),
        output_topic: new.output_topic.clone(),
        dead_letter_topic: names.dead_letter(&project.name, &new.name),
        redrive_topic: names.redrive(&project.name, &new.name),
        group_id: names.inference_group(&project.name, &new.name),
        guarantee: new.guarantee,
        output_format: new.output_format,
        start: json!({}),
        platform: new.platform.clone(),
        replicas: new.replicas,
        settings: json!({}),
        desired: Desired::Running,
        state: State::Pending,
        message: None,
        saved_offsets: None,
        owned_topics: json!([]),
        running_version: None,
        span: None,
        takes_over_id: new.extent.takes_over(),
        handover: None,
        created_at: accepted,
        updated_at: accepted,
        name: new.name.clone(),
    };
    // The connection's prefix may be long.
    name::check_topic(&row.dead_letter_topic)?;
    name::check_topic(&row.redrive_topic)?;
    refuse_topics(&row, new.hand_on.as_ref(), names)?;
    settle(app, &cluster, &mut row, &new).await?;
    check_functions(app, &row).await?;

    let transaction = app.begin().await?;
    // Kafka was asked meanwhile, and the alias may be gone.
    versions::select(&transaction, &model, &new.version).await?;
    if let Some(live) = row.takes_over_id {
        refuse_second(&transaction, live).await?;
    }
    row.clone()
        .into_active_model()
        .insert(&transaction)
        .await
        .map_err(|error| Error::unless_taken(error, "inference", &new.name))?;
    transaction.commit().await?;
    app.changes.send(Change::Inference(row.id));
    tracing::info!(inference.name = %row.name, kafka.group = %row.group_id, "inference created");
    Ok(row)
}

/// Fills in what only Kafka knows: the input's id, the offsets at which it begins, and the topics
/// that are missing, which Millrace is about to make.
async fn settle(
    app: &App,
    cluster: &Cluster,
    row: &mut inference::Model,
    new: &NewInference,
) -> Result<()> {
    let accepted = row.created_at;
    let topic = row.input_topic.clone();
    let input = cluster
        .run(move |admin| admin.describe_topic(&topic))
        .await?;
    let offsets = new.extent.offsets(app, cluster, row, accepted).await?;
    row.start = serde_json::to_value(&offsets.asked).map_err(Error::internal)?;
    row.saved_offsets = Some(serde_json::to_value(offsets.start).map_err(Error::internal)?);
    let span = offsets.ends.map(|ends| Span {
        ends,
        records_per_second: new.records_per_second,
        since: accepted,
        note: None,
        pinned: offsets.pinned,
    });
    let span = span.map(serde_json::to_value).transpose();
    row.span = span.map_err(Error::internal)?;
    let settings = Settings {
        batching: new.batching,
        outputs: new.outputs.clone(),
        echo_input: new.echo_input,
        not_finite: new.not_finite,
        hand_on: new.hand_on.clone(),
        partitions: input.partitions,
        max_message_bytes: input.max_message_bytes,
        planned: missing(cluster, row, new.hand_on.as_ref(), &input).await?,
        has_redrive: false,
        is_brought_back: false,
        redrive_offsets: Vec::new(),
        platform: new.options.clone(),
        moves_to: None,
        presence: Presence::Absent,
    };
    row.settings = serde_json::to_value(settings).map_err(Error::internal)?;
    row.input_topic_id = input.id;
    row.message = super::note(row);
    Ok(())
}

/// The topics that have to be made. Where the connection only requires topics, a missing one is
/// refused with what to ask for.
async fn missing(
    cluster: &Cluster,
    row: &inference::Model,
    hand_on: Option<&HandOn>,
    input: &TopicDescription,
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for need in needs(row, hand_on, input.partitions, input.max_message_bytes) {
        if cluster.row().topic_policy == TopicPolicy::Require {
            cluster.ensure_topic(need).await?;
            continue;
        }
        let topic = need.topic.clone();
        let found = cluster.run(move |admin| admin.partitions(&topic)).await;
        match found {
            Ok(_) => {}
            Err(error) if error.code() == Code::TopicNotFound => missing.push(need.topic),
            Err(error) => return Err(error),
        }
    }
    if !missing.is_empty() {
        let there = cluster.run(millrace_kafka::Admin::topics).await?;
        refuse_collision(&missing, &there)?;
    }
    Ok(missing)
}

/// Kafka takes `.` and `_` for the same in the names of its metrics, and has no two topics that differ in nothing else.
fn refuse_collision(missing: &[String], there: &[String]) -> Result<()> {
    let same = |name: &str| name.replace('.', "_");
    for topic in missing {
        let mut there = there.iter();
        // One of the same name was made in this moment: whoever asked for it has it.
        let other = there.find(|other| *other != topic && same(other) == same(topic));
        if let Some(other) = other {
            return Err(Error::new(
                Code::InvalidInput,
                format!(
                    "the inference needs the topic {topic:?}, which Kafka cannot tell from {other:?} (it takes `.` for `_`); choose another name"
                ),
            ));
        }
    }
    Ok(())
}

/// The name is looked at before Kafka is asked, and again by the database's own constraint.
async fn refuse_taken(app: &App, project_id: Uuid, name: &str) -> Result<()> {
    match find(&app.database, project_id, name).await {
        Err(error) if error.code() == Code::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(row) if row.desired == Desired::Deleted => Err(Error::new(
            Code::AlreadyExists,
            format!("the inference {name:?} is still being deleted; try again when it is gone"),
        )),
        Ok(_) => Err(Error::new(
            Code::AlreadyExists,
            format!("there is an inference {name:?} already; choose another name"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_kafka_cannot_tell_apart_are_refused() {
        let topics = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let there = topics(&["millrace.dlq.p.n", "points"]);
        let error = refuse_collision(&topics(&["millrace.dlq.p_n"]), &there);
        let error = error.map_err(|error| error.to_string()).err();
        assert!(error.is_some_and(|error| error.contains("millrace.dlq.p.n")));
        assert!(refuse_collision(&topics(&["millrace.dlq.p.m"]), &there).is_ok());
    }
}
