//! Secrets of AWS Secrets Manager, by their ARNs: asked for as whoever this process is in AWS.
//!
//! Invariant: a secret is asked for by a thread of its own and waited for within a limit, is kept by this process alone, for a few
//! minutes, and is never printed.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millrace_aws::{Error, Service};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(4);
/// How long credentials and all attempts together may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause before the one repetition.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a secret is kept: clients that are made later have a rotated one.
const KEPT: Duration = Duration::from_mins(5);
/// How long nobody else asks after a failure: all clients of a process fail together.
const FAILED: Duration = Duration::from_secs(5);

/// What AWS answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "SecretString")]
    text: Option<String>,
}

/// A secret, or a field of one that is a JSON object: `ARN` or `ARN#field`. Or what is wrong with it, as the rest of a sentence.
pub(crate) fn look_up(reference: &str) -> Result<String, String> {
    let (arn, field) = split(reference);
    let region = region(arn).ok_or(
        "names no secret: write the ARN, as arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
    )?;
    let text = kept(arn, region)?;
    match field {
        None => Ok(text),
        Some(field) => part(&text, field),
    }
}

/// The ARN, and the field behind it: no name of a secret has a `#`.
pub(crate) fn split(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('#') {
        Some((arn, field)) => (arn, Some(field)),
        None => (reference, None),
    }
}

fn region(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    match parts[..] {
        ["arn", _, "secretsmanager", region, _, "secret", name]
            if !region.is_empty() && !name.is_empty() =>
        {
            Some(region)
        }
        _ => None,
    }
}

fn part(text: &str, field: &str) -> Result<String, String> {
    // The parser's own words would repeat a part of the secret.
    let object: Value =
        serde_json::from_str(text).map_err(|_| "is no JSON, which has fields".to_owned())?;
    match &object[field] {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("has no text in a field {field:?}")),
    }
}

/// What AWS said of each secret, and when.
type Known = HashMap<String, (Instant, Result<String, String>)>;

fn kept(arn: &str, region: &str) -> Result<String, String> {
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    // Held while one is asked for: all others want the same.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some((at, said)) = known.get(arn) {
        let limit = if said.is_ok() { KEPT } else { FAILED };
        if at.elapsed() < limit {
            return said.clone();
        }
    }
    let said = ask(arn, region);
    known.insert(arn.to_owned(), (Instant::now(), said.clone()));
    said
}

/// Asks AWS. Whoever makes a client may stand on a runtime that must not be blocked on: a thread that outlives the limit ends by
/// itself.
fn ask(arn: &str, region: &str) -> Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    let (arn, region) = (arn.to_owned(), region.to_owned());
    let asking = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let said = runtime
            .map_err(|error| format!("cannot be asked for: {error}"))
            .and_then(|runtime| runtime.block_on(value(&arn, &region)));
        // Nobody waits any more where the limit is over.
        drop(sender.send(said));
    };
    thread::Builder::new()
        .name("kafka-secret".to_owned())
        .spawn(asking)
        .map_err(|error| format!("cannot be asked for: no thread can be started: {error}"))?;
    match receiver.recv_timeout(LIMIT) {
        Ok(said) => said,
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "cannot be read: AWS does not answer within {} seconds: see the network's endpoint of secretsmanager",
            LIMIT.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err("cannot be read: the asking failed".to_owned()),
    }
}

async fn value(arn: &str, region: &str) -> Result<String, String> {
    let service = Service::new("secretsmanager", "secretsmanager", region, ANSWER)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let asked = json!({"SecretId": arn});
    let mut is_repetition = false;
    let answer: Result<Answer, Error> = loop {
        match service.ask("GetSecretValue", &asked).await {
            Err(Error::Unavailable(_)) if !is_repetition => {
                is_repetition = true;
                tokio::time::sleep(PAUSE).await;
            }
            answer => break answer,
        }
    };
    match answer {
        Ok(answer) => answer
            .text
            .ok_or_else(|| "holds bytes, and no text".to_owned()),
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &Error) -> String {
    match error {
        error if error.is_forbidden() => format!(
            "cannot be read: this process's role needs the rights secretsmanager:GetSecretValue on it and kms:Decrypt on its key, which Terraform's variable kafka_secret grants ({error})"
        ),
        Error::Refused { code, .. } if code == "ResourceNotFoundException" => {
            "is not there".to_owned()
        }
        error => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:AmazonMSK_kafka-AbCdEf";

    #[test]
    fn a_reference_is_an_arn_with_a_field_or_without() {
        assert_eq!(split(ARN), (ARN, None));
        assert_eq!(split(&format!("{ARN}#password")), (ARN, Some("password")));
        assert_eq!(region(ARN), Some("eu-west-1"));
        for wrong in [
            "",
            "kafka",
            "arn:aws:s3:eu-west-1:123456789012:secret:x",
            "arn:aws:secretsmanager::123456789012:secret:x",
        ] {
            let said = look_up(wrong).unwrap_err();
            assert!(said.contains("write the ARN"), "{said}");
        }
    }

    #[test]
    fn a_field_is_a_text_or_a_number_and_faults_repeat_nothing() {
        let text = r#"{"username": "me", "password": "hunter2", "port": 9096, "more": {}}"#;
        assert_eq!(part(text, "password").unwrap(), "hunter2");
        assert_eq!(part(text, "port").unwrap(), "9096");
        for (text, field) in [(text, "more"), (text, "user"), ("hunter2", "password")] {
            let said = part(text, field).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_right_that_is_missing_is_named() {
        let refused = |code: &str| {
            refusal(&Error::Refused {
                service: "secretsmanager",
                action: "GetSecretValue".to_owned(),
                code: code.to_owned(),
                message: "so it is".to_owned(),
            })
        };
        let said = refused("AccessDeniedException");
        assert!(said.contains("secretsmanager:GetSecretValue"), "{said}");
        assert!(said.contains("kms:Decrypt"), "{said}");
        assert_eq!(refused("ResourceNotFoundException"), "is not there");
        assert!(refused("InternalServiceError").contains("so it is"));
    }
}
