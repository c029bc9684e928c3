//! Gives a schema to a registry, and learns the id by which it is known there.
//!
//! Invariant: the same schema of a subject gets the same id however often it is given, so it is given again where no answer
//! came.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::super::{PAUSES, Registering, TIMEOUT, Unregistered, root_of};
use super::Confluent;

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// What a registry says of a schema that it does not take.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Confluent {
    /// The id of an Avro schema as the newest of its subject, or as any that it has.
    pub(in super::super) async fn register(
        &self,
        subject: &str,
        schema: &str,
        how: Registering,
    ) -> Result<u32, Unregistered> {
        let place = match how {
            Registering::Write => format!("subjects/{subject}/versions"),
            Registering::LookUp => format!("subjects/{subject}"),
        };
        let mut pauses = PAUSES.iter();
        loop {
            let mut last =
                Unregistered::Unavailable("the property schema.registry.url is empty".to_owned());
            for url in &self.urls {
                match self.give(url, &place, subject, schema).await {
                    Err(unavailable @ Unregistered::Unavailable(_)) => last = unavailable,
                    answered => return answered,
                }
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(last),
            }
        }
    }

    async fn give(
        &self,
        url: &str,
        place: &str,
        subject: &str,
        schema: &str,
    ) -> Result<u32, Unregistered> {
        let unavailable = |reason: String| {
            Unregistered::Unavailable(format!("the schema registry {url} {reason}"))
        };
        let request = self.client.post(format!("{url}/{place}"));
        let request = self.login.put_on(request).json(&json!({"schema": schema}));
        // The error's own text would repeat the address, with what may stand in it.
        let answer = request.send().await.map_err(|error| {
            unavailable(if error.is_timeout() {
                format!("does not answer within {TIMEOUT:?}")
            } else {
                format!("cannot be reached: {}", root_of(&error.without_url()))
            })
        })?;
        let status = answer.status();
        match status {
            StatusCode::OK => {}
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => {
                let reason = answer.json().await;
                let reason =
                    reason.map_or_else(|_| status.to_string(), |Refusal { message }| message);
                return Err(Unregistered::Refused(format!(
                    "the schema registry {url} does not take the schema of its outputs for the subject {subject}: {reason}; the schema is {schema}"
                )));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(unavailable(format!(
                    "does not let us write the subject {subject} ({status}): give the login of the connection's properties schema.registry.* the right to"
                )));
            }
            status => return Err(unavailable(format!("answers {status}"))),
        }
        let Registered { id } = answer
            .json()
            .await
            .map_err(|error| unavailable(format!("answers no id: {}", error.without_url())))?;
        Ok(id)
    }
}
