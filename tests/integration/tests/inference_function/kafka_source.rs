//! Knative's side of a function: the requests that a `KafkaSource` makes of records, whose label says that keys are bytes.
//!
//! Events are made as its dispatcher makes them: text attributes as they are, names of headers without what attributes
//! cannot be called, the last of several headers of one name, and keys in base64.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use millrace_harness::block_until;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::answers::Answer;
use crate::fixture::LIMIT;
use crate::outage::get;

/// How events are put into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Binary,
    Structured,
}

/// A source in front of one function.
pub struct KafkaSource {
    client: Client,
    pub address: String,
    mode: Mode,
}

/// What became of a request: its status, 0 where the connection broke, and the code of what was wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reply {
    pub status: u16,
    pub error: Option<String>,
    pub message: String,
}

/// The name under which a header is carried.
pub fn carried(name: &str) -> String {
    let letters = name.chars().map(|letter| letter.to_ascii_lowercase());
    letters.filter(char::is_ascii_alphanumeric).collect()
}

/// The attributes of a record's event.
pub fn attributes(topic: &str, record: &Answer) -> BTreeMap<String, String> {
    let (partition, offset) = (record.partition, record.offset);
    let mut attributes = BTreeMap::from([
        ("specversion", "1.0".to_owned()),
        ("type", "dev.knative.kafka.event".to_owned()),
        (
            "source",
            format!("/apis/v1/namespaces/test/kafkasources/test#{topic}"),
        ),
        ("subject", format!("partition:{partition}#{offset}")),
        ("id", format!("partition:{partition}/offset:{offset}")),
        ("knativekafkapartition", partition.to_string()),
        ("knativekafkaoffset", offset.to_string()),
    ])
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect::<BTreeMap<_, _>>();
    if let Some(time) = record.timestamp_ms {
        let time = DateTime::from_timestamp_millis(time).unwrap();
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        attributes.insert("time".to_owned(), time);
    }
    if let Some(key) = record.key.as_ref().filter(|key| !key.is_empty()) {
        for name in ["key", "partitionkey"] {
            attributes.insert(name.to_owned(), STANDARD.encode(key));
        }
    }
    for (name, value) in &record.headers {
        // What is no text comes out as something else, and what is null breaks the source: nobody's concern here.
        let text = value.as_ref().and_then(|value| str::from_utf8(value).ok());
        if let Some(text) = text.filter(|text| text.is_ascii()) {
            let name = if name.eq_ignore_ascii_case("content-type") {
                "datacontenttype".to_owned()
            } else {
                format!("kafkaheader{}", carried(name))
            };
            attributes.insert(name, text.to_owned());
        }
    }
    attributes
}

impl KafkaSource {
    pub fn new(port: u16, mode: Mode) -> Self {
        Self {
            client: Client::new(),
            address: format!("127.0.0.1:{port}"),
            mode,
        }
    }

    /// Waits until the function says that it is ready.
    pub fn wait(&self) {
        block_until("the function is ready", LIMIT, || {
            let (status, body) = get(&self.address, "/readyz")?;
            if status.contains("200") {
                Ok(())
            } else {
                Err(body)
            }
        });
    }

    /// Brings a record.
    pub async fn bring(&self, topic: &str, record: &Answer) -> Reply {
        self.send(attributes(topic, record), record.value.as_deref())
            .await
    }

    /// Brings records, all at the same time. Returns what became of each.
    pub async fn bring_all(&self, topic: &str, records: &[Answer]) -> Vec<Reply> {
        let tasks: Vec<_> = records
            .iter()
            .map(|record| {
                tokio::spawn(self.request(attributes(topic, record), record.value.as_deref()))
            })
            .collect();
        let mut replies = Vec::new();
        for task in tasks {
            replies.push(task.await.unwrap());
        }
        replies
    }

    /// Sends an event of these attributes.
    pub async fn send(&self, attributes: BTreeMap<String, String>, data: Option<&[u8]>) -> Reply {
        self.request(attributes, data).await
    }

    fn request(
        &self,
        mut attributes: BTreeMap<String, String>,
        data: Option<&[u8]>,
    ) -> impl Future<Output = Reply> + Send + use<> {
        let (headers, body) = match self.mode {
            Mode::Binary => {
                let mut headers = HeaderMap::new();
                for (name, value) in attributes {
                    let name = match name.as_str() {
                        "datacontenttype" => "content-type".to_owned(),
                        other => format!("ce-{other}"),
                    };
                    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                    headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
                }
                (headers, data.unwrap_or_default().to_vec())
            }
            Mode::Structured => {
                let media_type = HeaderValue::from_static("application/cloudevents+json");
                if let Some(data) = data {
                    attributes.insert("data_base64".to_owned(), STANDARD.encode(data));
                }
                let headers = HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, media_type)]);
                (headers, json!(attributes).to_string().into_bytes())
            }
        };
        let request = self
            .client
            .post(format!("http://{}/", self.address))
            .headers(headers)
            .body(body);
        async move {
            match request.send().await {
                Ok(response) => reply(response).await,
                Err(error) => Reply {
                    status: 0,
                    error: None,
                    message: error.to_string(),
                },
            }
        }
    }
}

async fn reply(response: Response) -> Reply {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    Reply {
        status,
        error: body["error"].as_str().map(ToOwned::to_owned),
        message: body["message"].as_str().unwrap_or(&text).to_owned(),
    }
}
