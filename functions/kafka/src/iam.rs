//! Logging in to Amazon MSK by IAM: the property `sasl.mechanism=AWS_MSK_IAM`, which librdkafka does not know, becomes
//! OAUTHBEARER with tokens that are signed here by whoever this process is in AWS.
//!
//! Invariant: a token is signed by a thread of its own and waited for within a limit, is used by all clients of the process for
//! a third of its life, and is never printed.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_config::Region;
use aws_msk_iam_sasl_signer::generate_auth_token;
use rdkafka::admin::AdminClient;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use crate::Error;
use crate::error::Step;
use crate::ffi::Native;

/// What stands in `sasl.mechanism`, as in the clients of AWS.
const MECHANISM: &str = "AWS_MSK_IAM";
/// What librdkafka keeps for whoever makes its tokens: the region, behind this.
const CONFIG: &str = "millrace.region=";
/// Who a client says that it is. The brokers take it from the signature.
const PRINCIPAL: &str = "millrace";
/// How long credentials may take to come.
const LIMIT: Duration = Duration::from_secs(10);
/// A token lives for a quarter of an hour; one with less than this left is signed anew.
const FRESH: Duration = Duration::from_mins(10);
/// How long nobody else tries after a failure: all clients of a process fail together.
const PAUSE: Duration = Duration::from_secs(5);

/// What librdkafka is told in the place of the properties of a connection that logs in by IAM; nothing for others.
pub(crate) fn properties(
    properties: &BTreeMap<String, String>,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    let is_mechanism = |property: &&String| is_mechanism(property);
    let Some(property) = properties.keys().find(is_mechanism) else {
        return Ok(None);
    };
    if properties[property] != MECHANISM {
        return Ok(None);
    }
    let region =
        region(properties, |name| std::env::var(name).ok()).ok_or_else(|| Error::Property {
            property: property.clone(),
            reason: format!(
                "{MECHANISM} takes a region, which no broker's name has: set AWS_REGION"
            ),
        })?;
    let mut told = properties.clone();
    told.insert(property.clone(), "OAUTHBEARER".to_owned());
    told.insert(
        "sasl.oauthbearer.config".to_owned(),
        format!("{CONFIG}{region}"),
    );
    // MSK takes these logins by TLS only.
    told.entry("security.protocol".to_owned())
        .or_insert_with(|| "SASL_SSL".to_owned());
    Ok(Some(told))
}

fn is_mechanism(property: &str) -> bool {
    matches!(property, "sasl.mechanism" | "sasl.mechanisms")
}

/// The region of the brokers: the one in their names, as MSK makes them, or else the one of this process.
fn region(
    properties: &BTreeMap<String, String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let servers = ["bootstrap.servers", "metadata.broker.list"];
    let servers = servers.into_iter().find_map(|name| properties.get(name));
    let mut named = servers
        .iter()
        .flat_map(|servers| servers.split(','))
        .filter_map(|server| {
            let (host, _) = server.split_once(".amazonaws.com")?;
            host.rsplit('.')
                .next()
                .filter(|region| region.contains('-'))
        });
    named.next().map(str::to_owned).or_else(|| {
        let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let mut values = variables.into_iter().filter_map(environment);
        values.find(|value| !value.is_empty())
    })
}

/// The token that librdkafka asks for, with what [`properties`] has left there.
pub(crate) fn token(config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
    let region = config
        .and_then(|config| config.strip_prefix(CONFIG))
        .ok_or_else(|| {
            format!("OAUTHBEARER has no tokens of its own here: sasl.mechanism can be {MECHANISM}")
        })?;
    Ok(current(region)?)
}

/// The region of a configuration that [`properties`] has made.
pub(crate) fn config(properties: &BTreeMap<String, String>) -> Option<String> {
    properties.get("sasl.oauthbearer.config").cloned()
}

/// A client of librdkafka.
pub(crate) trait Client {
    fn native(&self) -> Native<'_>;
}

impl<C: ConsumerContext> Client for BaseConsumer<C> {
    fn native(&self) -> Native<'_> {
        Native::of(self.client())
    }
}

impl<C: ProducerContext> Client for BaseProducer<C> {
    fn native(&self) -> Native<'_> {
        Native::of(self.client())
    }
}

impl<C: ClientContext> Client for AdminClient<C> {
    fn native(&self) -> Native<'_> {
        Native::of(self.inner())
    }
}

/// Gives a new client its first token. It would ask for one itself, but of whoever polls it, and not every client is polled.
pub(crate) fn log_in(client: &impl Client, config: &str) -> Result<(), Error> {
    let step = Step::new("log in to the brokers by IAM");
    let failed = |reason: String| step.failed(&reason, true);
    let token = token(Some(config)).map_err(|error| failed(error.to_string()))?;
    client.native().set_token(Ok(token)).map_err(failed)
}

struct Signed {
    region: String,
    token: String,
    expires: SystemTime,
}

enum Last {
    Signed(Signed),
    Failed {
        at: Instant,
        region: String,
        reason: String,
    },
}

/// A token for the brokers of a region, signed anew where the last one is not fresh.
fn current(region: &str) -> Result<OAuthToken, String> {
    static LAST: Mutex<Option<Last>> = Mutex::new(None);
    // Held while one is signed: all others want the same.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some(Last::Signed(signed)) if signed.region == region => {
            let left = signed.expires.duration_since(SystemTime::now());
            if left.is_ok_and(|left| left > FRESH) {
                return Ok(signed.token());
            }
        }
        Some(Last::Failed {
            at,
            region: of,
            reason,
        }) if of == region && at.elapsed() < PAUSE => {
            return Err(reason.clone());
        }
        _ => {}
    }
    match sign(region) {
        Ok(signed) => {
            let token = signed.token();
            *last = Some(Last::Signed(signed));
            Ok(token)
        }
        Err(reason) => {
            *last = Some(Last::Failed {
                at: Instant::now(),
                region: region.to_owned(),
                reason: reason.clone(),
            });
            Err(reason)
        }
    }
}

impl Signed {
    fn token(&self) -> OAuthToken {
        let expires = self.expires.duration_since(SystemTime::UNIX_EPOCH);
        OAuthToken {
            token: self.token.clone(),
            principal_name: PRINCIPAL.to_owned(),
            lifetime_ms: expires.map_or(0, |life| {
                i64::try_from(life.as_millis()).unwrap_or(i64::MAX)
            }),
        }
    }
}

/// Signs a token. The signer is asynchronous and may wait for a server of AWS: a thread that outlives the limit ends by itself.
fn sign(region: &str) -> Result<Signed, String> {
    let (sender, receiver) = mpsc::channel();
    let of = Region::new(region.to_owned());
    let signing = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let signed = runtime
            .map_err(|error| format!("no credentials can be looked for: {error}"))
            .and_then(|runtime| {
                let signed = runtime.block_on(generate_auth_token(of));
                signed.map_err(|error| reason(&error))
            });
        // Nobody waits any more where the limit is over.
        drop(sender.send(signed));
    };
    thread::Builder::new()
        .name("kafka-iam".to_owned())
        .spawn(signing)
        .map_err(|error| format!("no thread can be started: {error}"))?;
    let (token, expires_ms) = match receiver.recv_timeout(LIMIT) {
        Ok(signed) => signed?,
        Err(RecvTimeoutError::Timeout) => {
            return Err(format!(
                "AWS gives this process no credentials within {} seconds: see its role, or the network to where AWS keeps them",
                LIMIT.as_secs()
            ));
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err("the signer of AWS has failed".to_owned());
        }
    };
    let expires_ms = u64::try_from(expires_ms).unwrap_or_default();
    Ok(Signed {
        region: region.to_owned(),
        token,
        expires: SystemTime::UNIX_EPOCH + Duration::from_millis(expires_ms),
    })
}

/// Why nothing was signed, with what the signer keeps behind its first sentence.
fn reason(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    format!(
        "this process has no credentials of AWS: give it a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({last})"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn map(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned =
            |(property, value): &(&str, &str)| ((*property).to_owned(), (*value).to_owned());
        properties.iter().map(owned).collect()
    }

    #[test]
    fn the_region_is_that_of_the_brokers_or_else_of_the_process() {
        let of_process = |name: &str| (name == "AWS_REGION").then(|| "eu-west-3".to_owned());
        for (servers, expected) in [
            (
                "b-1.name.ab12cd.c2.kafka.eu-central-1.amazonaws.com:9098,b-2.x:9098",
                "eu-central-1",
            ),
            (
                "boot-ab12.c1.kafka-serverless.us-east-1.amazonaws.com:9098",
                "us-east-1",
            ),
            (
                "b-1.name.ab12cd.c2.kafka.cn-north-1.amazonaws.com.cn:9098",
                "cn-north-1",
            ),
            ("kafka.example.com:9098", "eu-west-3"),
        ] {
            let properties = map(&[("bootstrap.servers", servers)]);
            assert_eq!(
                region(&properties, of_process).unwrap(),
                expected,
                "{servers}"
            );
        }
        let properties = map(&[("bootstrap.servers", "kafka.example.com:9098")]);
        assert_eq!(region(&properties, |_| None), None);
    }

    #[test]
    fn librdkafka_is_told_of_bearers_and_of_tls() {
        let server = (
            "bootstrap.servers",
            "b-1.x.kafka.eu-central-1.amazonaws.com:9098",
        );
        let told = properties(&map(&[server, ("sasl.mechanism", MECHANISM)]));
        let told = told.unwrap().unwrap();
        assert_eq!(told["sasl.mechanism"], "OAUTHBEARER");
        assert_eq!(told["security.protocol"], "SASL_SSL");
        assert_eq!(config(&told).unwrap(), "millrace.region=eu-central-1");
        assert_eq!(properties(&map(&[server])), Ok(None));
        assert_eq!(
            properties(&map(&[server, ("sasl.mechanism", "PLAIN")])),
            Ok(None)
        );
    }

    #[test]
    fn others_have_to_bring_their_own_tokens() {
        for config in [None, Some("scope=kafka")] {
            let error = token(config).err().unwrap();
            assert!(error.to_string().contains(MECHANISM), "{error}");
        }
    }
}
