//! A registry that speaks Confluent's REST interface, at one address or several.
//!
//! Invariant: no login and no token stands in a message.

mod registration;

use std::collections::{BTreeMap, BTreeSet};

use millrace_wire::record::{Reference, SchemaDocument, SchemaKey, SchemaKind};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde::Deserialize;

use super::{Missing, PAUSES, TIMEOUT, root_of};

/// How many schemas one may use, directly and indirectly.
const MOST_REFERENCES: usize = 256;
/// The largest answer: far above any schema that a decoder takes.
const LARGEST: usize = 4 << 20;

pub(super) struct Confluent {
    client: Client,
    urls: Vec<String>,
    login: Login,
}

enum Login {
    None,
    Basic { user: String, password: String },
    Bearer(String),
}

impl Login {
    fn put_on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// What the registry answers.
#[derive(Deserialize)]
struct Answer {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Referred>,
}

/// A schema that another one uses.
#[derive(Deserialize)]
struct Referred {
    name: String,
    subject: String,
    version: i64,
}

impl Confluent {
    /// The registry that the properties name, if they do.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Option<Self>, Missing> {
        let unavailable = |reason: String| Missing::Unavailable(reason);
        let Some(urls) = properties.get("url") else {
            return Ok(None);
        };
        let urls = urls.split(',').map(|url| url.trim().trim_end_matches('/'));
        let urls: Vec<String> = urls
            .filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect();
        let login = match (
            properties.get("basic.auth.user.info"),
            properties.get("bearer.auth.token"),
        ) {
            (None, None) => Login::None,
            (Some(info), None) => {
                let (user, password) = info.split_once(':').ok_or_else(|| {
                    unavailable(
                        "the property schema.registry.basic.auth.user.info is not of the form user:password"
                            .to_owned(),
                    )
                })?;
                Login::Basic {
                    user: user.to_owned(),
                    password: password.to_owned(),
                }
            }
            (None, Some(token)) => Login::Bearer(token.clone()),
            (Some(_), Some(_)) => {
                return Err(unavailable(
                    "the properties schema.registry.basic.auth.user.info and schema.registry.bearer.auth.token contradict each other"
                        .to_owned(),
                ));
            }
        };
        let mut client = Client::builder().timeout(TIMEOUT);
        if let Some(path) = properties.get("ssl.ca.location") {
            let refused = |reason: &dyn std::fmt::Display| {
                unavailable(format!(
                    "the certificates of schema.registry.ssl.ca.location cannot be used: {path}: {reason}"
                ))
            };
            let file = std::fs::read(path).map_err(|error| refused(&error))?;
            let certificates =
                Certificate::from_pem_bundle(&file).map_err(|error| refused(&error))?;
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build();
        Ok(Some(Self {
            client: client.map_err(|error| unavailable(error.to_string()))?,
            urls,
            login,
        }))
    }

    /// A schema with all that it uses.
    pub(super) async fn document(&self, key: SchemaKey) -> Result<SchemaDocument, Missing> {
        let place = match key {
            SchemaKey::Id(id) => format!("schemas/ids/{id}"),
            SchemaKey::Guid(_) | SchemaKey::Glue(_) => format!("schemas/guids/{key}"),
        };
        let what = format!("the schema {key}");
        let answer = self.ask(&what, &place).await?;
        let kind = match answer.kind.as_deref() {
            None | Some("AVRO") => SchemaKind::Avro,
            Some("JSON") => SchemaKind::Json,
            Some("PROTOBUF") => SchemaKind::Protobuf,
            Some(other) => {
                return Err(Missing::Unknown(format!(
                    "{what} is of the type {other}, which is not known"
                )));
            }
        };
        Ok(SchemaDocument {
            kind,
            references: self.references(answer.references).await?,
            text: answer.schema,
        })
    }

    /// Everything that is used, each behind what it uses itself.
    async fn references(&self, direct: Vec<Referred>) -> Result<Vec<Reference>, Missing> {
        enum Visit {
            Enter(Referred),
            Leave(Reference),
        }
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut visits: Vec<Visit> = direct.into_iter().rev().map(Visit::Enter).collect();
        while let Some(visit) = visits.pop() {
            let referred = match visit {
                Visit::Enter(referred) => referred,
                Visit::Leave(reference) => {
                    found.push(reference);
                    continue;
                }
            };
            let Referred {
                name,
                subject,
                version,
            } = referred;
            if !seen.insert((subject.clone(), version)) {
                continue;
            }
            if seen.len() > MOST_REFERENCES {
                return Err(Missing::Unknown(format!(
                    "a schema uses more than {MOST_REFERENCES} others"
                )));
            }
            let what = format!("version {version} of the subject {subject}, which a schema uses,");
            let mut place = url::Url::parse("x:/").map_err(|error| bug(&error))?;
            place
                .path_segments_mut()
                .map_err(|()| bug(&"no path"))?
                .extend(["subjects", &subject, "versions", &version.to_string()]);
            let answer = self
                .ask(&what, place.path().trim_start_matches('/'))
                .await?;
            visits.push(Visit::Leave(Reference {
                name,
                text: answer.schema,
            }));
            visits.extend(answer.references.into_iter().rev().map(Visit::Enter));
        }
        Ok(found)
    }

    /// Asks each of the registry's addresses until one answers, and all of them again after a pause.
    async fn ask(&self, what: &str, place: &str) -> Result<Answer, Missing> {
        let mut pauses = PAUSES.iter();
        loop {
            let mut last =
                Missing::Unavailable("the property schema.registry.url is empty".to_owned());
            for url in &self.urls {
                match self.ask_one(what, url, place).await {
                    Err(unavailable @ Missing::Unavailable(_)) => last = unavailable,
                    answered => return answered,
                }
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(last),
            }
        }
    }

    async fn ask_one(&self, what: &str, url: &str, place: &str) -> Result<Answer, Missing> {
        let unavailable =
            |reason: String| Missing::Unavailable(format!("the schema registry {url} {reason}"));
        let request = self.client.get(format!("{url}/{place}")).header(
            "accept",
            "application/vnd.schemaregistry.v1+json, application/json",
        );
        let answer = self.login.put_on(request).send().await;
        // The error's own text would repeat the address, with what may stand in it.
        let answer = answer.map_err(|error| {
            unavailable(if error.is_timeout() {
                format!("does not answer within {TIMEOUT:?}")
            } else {
                format!("cannot be reached: {}", root_of(&error.without_url()))
            })
        })?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Missing::Unknown(format!(
                    "{what} is unknown to the schema registry {url}"
                )));
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(unavailable(format!(
                    "does not let us in ({status}): set the connection's property schema.registry.basic.auth.user.info or schema.registry.bearer.auth.token right"
                )));
            }
            status => return Err(unavailable(format!("answers {status}"))),
        }
        let mut answer = answer;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| {
            unavailable(format!(
                "ends in the middle of its answer: {}",
                error.without_url()
            ))
        })? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(Missing::Unknown(format!(
                    "{what} is larger than {LARGEST} bytes"
                )));
            }
        }
        serde_json::from_slice(&body)
            .map_err(|error| unavailable(format!("answers something else than a schema: {error}")))
    }
}

fn bug(error: &dyn std::fmt::Display) -> Missing {
    Missing::Unavailable(format!(
        "a subject cannot be written into an address: {error}"
    ))
}
