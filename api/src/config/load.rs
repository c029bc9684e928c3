//! Reads the tree: the file first, then each variable, so that an error names its place.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, FILE};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or has keys or values that are not known.
    #[error("the configuration file {} is wrong: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A variable is wrong.
    #[error(
        "the variable {variable} is wrong: {reason}; see `millrace config` for the keys that exist"
    )]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong.
        reason: String,
    },
    /// A value does not make sense.
    #[error("{key} is wrong: {reason}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The tree cannot be printed.
    #[error("the configuration cannot be printed: {0}")]
    Print(String),
}

impl Error {
    pub(super) fn invalid(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key,
            reason: reason.into(),
        }
    }
}

pub(super) fn load(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let mut tree = match file {
        Some(file) => read(file)?,
        None if Path::new(FILE).exists() => read(Path::new(FILE))?,
        None => Table::new(),
    };
    let defaults =
        Table::try_from(Config::shape()).map_err(|error| Error::Print(error.to_string()))?;
    let mut variables: Vec<_> = variables
        .filter_map(|(variable, value)| {
            let path = variable
                .strip_prefix("MILLRACE_")
                .filter(|path| {
                    !is_of_others(path) && (path.contains("__") || names_section(&defaults, path))
                })?
                .to_ascii_lowercase();
            Some((variable, path, value))
        })
        .collect();
    variables.sort();
    for (variable, path, value) in variables {
        let wrong = |reason: String| Error::Variable {
            variable: variable.clone(),
            reason,
        };
        let keys = keys(&path);
        if let [joined] = keys.as_slice() {
            return Err(wrong(format!(
                "two underscores stand between a section and its key, and `{joined}` has none"
            )));
        }
        let value = typed(&defaults, &keys, &value).map_err(wrong)?;
        set(&mut tree, &keys, value).map_err(wrong)?;
        parse(&tree).map_err(wrong)?;
    }
    let config = parse(&tree).map_err(|reason| Error::File {
        file: file.unwrap_or(Path::new(FILE)).to_owned(),
        reason,
    })?;
    config.check()?;
    Ok(config)
}

fn read(file: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Read {
        file: file.to_owned(),
        source,
    })?;
    let wrong = |error: toml::de::Error| Error::File {
        file: file.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    };
    // Straight from the text the error has line and column.
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

fn parse(tree: &Table) -> Result<Config, String> {
    tree.clone()
        .try_into()
        .map_err(|error: toml::de::Error| error.to_string().trim_end().replace('\n', " "))
}

/// Whether a variable is not part of the tree whatever follows: secrets have names of their own.
fn is_of_others(path: &str) -> bool {
    path.starts_with("SECRET_") || path.starts_with("TEST_")
}

/// Whether a variable begins with the name of a section, as one does that lacks an underscore behind it.
fn names_section(sections: &Table, path: &str) -> bool {
    path.split_once('_')
        .is_some_and(|(section, _)| sections.contains_key(&section.to_ascii_lowercase()))
}

/// The keys of a variable. What follows `kafka__properties__` is one property: variables cannot
/// have the dots of its name, and no property has an underscore.
fn keys(path: &str) -> Vec<String> {
    match path.strip_prefix("kafka__properties__") {
        Some(property) => vec![
            "kafka".to_owned(),
            "properties".to_owned(),
            property.replace('_', "."),
        ],
        None => path.split("__").map(str::to_owned).collect(),
    }
}

/// The text of a variable as the type that its key has.
fn typed(defaults: &Table, keys: &[String], text: &str) -> Result<Value, String> {
    let mut keys = keys.iter();
    let first = keys.next().and_then(|key| defaults.get(key));
    match keys.fold(first, |value, key| value?.get(key)) {
        Some(Value::Integer(_)) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("{text:?} is not a whole number")),
        Some(Value::Boolean(_)) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| format!("{text:?} is neither `true` nor `false`")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn set(table: &mut Table, keys: &[String], value: Value) -> Result<(), String> {
    match keys {
        [] => Ok(()),
        [key] => {
            table.insert(key.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => table
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("`{section}` has no keys below it"))
            .and_then(|table| set(table, rest, value)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, Error> {
        let owned: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        load(None, owned.into_iter())
    }

    #[test]
    fn variables_reach_every_depth_and_type() {
        let config = with(&[
            ("MILLRACE_KAFKA__BOOTSTRAP_SERVERS", "kafka:9092"),
            ("MILLRACE_KAFKA__PARTITIONS", "7"),
            ("MILLRACE_KAFKA__PREFIX", "12"),
            ("MILLRACE_KAFKA__PROPERTIES__SASL_USERNAME", "me"),
            ("MILLRACE_HTTP__INTROSPECTION", "false"),
            ("MILLRACE_PLATFORM__LOCAL__TRAINING_SLOTS", "3"),
            ("MILLRACE_ONNXRUNTIME__LIBRARY", "/lib/ort.so"),
        ])
        .unwrap();
        assert_eq!(config.platform.lambda, None);
        assert_eq!(config.kafka.partitions, 7);
        assert_eq!(config.kafka.prefix, "12");
        let properties = config.kafka.all_properties();
        assert_eq!(properties["bootstrap.servers"], "kafka:9092");
        assert_eq!(properties["sasl.username"], "me");
        assert!(!config.http.introspection);
        assert_eq!(config.platform.local.training_slots, 3);
        assert_eq!(config.onnxruntime.library, Some("/lib/ort.so".into()));
    }

    #[test]
    fn a_section_that_is_off_is_switched_on_by_its_variables() {
        let wanted = crate::config::complete_lambda();
        let [days, slots] = [wanted.log_days, wanted.slots].map(|number| number.to_string());
        let variables = [
            ("PREFIX", &wanted.prefix),
            ("ROLE", &wanted.role),
            ("SUBNETS", &wanted.subnets),
            ("GROUPS", &wanted.groups),
            ("CLUSTER", &wanted.cluster),
            ("BUCKET", &wanted.bucket),
            ("PACKAGE", &wanted.package),
            ("LOG_DAYS", &days),
            ("SLOTS", &slots),
        ]
        .map(|(key, value)| (format!("MILLRACE_PLATFORM__LAMBDA__{key}"), value.clone()));
        let config = load(None, variables.clone().into_iter()).unwrap();
        assert_eq!(config.platform.lambda, Some(wanted));
        toml::from_str::<Config>(&config.masked().unwrap()).unwrap();
        let error = load(None, variables.into_iter().skip(1)).unwrap_err();
        assert!(
            error.to_string().contains("platform.lambda.prefix"),
            "{error}"
        );
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        with(&[
            ("MILLRACE_FUNCTION", "{}"),
            ("MILLRACE_LOG", "debug"),
            ("MILLRACE_CACHE", "/tmp"),
            ("MILLRACE_TOKEN", "x"),
            ("MILLRACE_TEST_DATABASE__URL", "x"),
            ("MILLRACE_SECRET_KAFKA__PASSWORD", "x"),
        ])
        .unwrap();
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let message = |variables: &[(&str, &str)]| with(variables).unwrap_err().to_string();
        let unknown = message(&[("MILLRACE_KAFKA__BOOTSTRAP", "x")]);
        assert!(
            unknown.starts_with(
                "the variable MILLRACE_KAFKA__BOOTSTRAP is wrong: unknown field `bootstrap`"
            ),
            "{unknown}"
        );
        let joined = message(&[("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "x")]);
        assert!(joined.contains("two underscores"), "{joined}");
        let number = message(&[("MILLRACE_KAFKA__PARTITIONS", "many")]);
        assert!(
            number.contains("\"many\" is not a whole number"),
            "{number}"
        );
        for (variable, value, key) in [
            ("MILLRACE_KAFKA__PREFIX", "a/b", "kafka.prefix"),
            (
                "MILLRACE_KAFKA__TEMPLATES__EVENTS",
                "{prefix}.registry",
                "kafka.templates",
            ),
            ("MILLRACE_KAFKA__PROPERTIES__BOGUS", "1", "kafka.properties"),
            ("MILLRACE_DATABASE__URL", "mysql://x", "database.url"),
            ("MILLRACE_ARTIFACTS__URL", "gs://x", "artifacts.url"),
        ] {
            let wrong = message(&[(variable, value)]);
            assert!(wrong.contains(key), "{wrong}");
        }
        let open = message(&[
            ("MILLRACE_HTTP__LISTEN", "0.0.0.0:8080"),
            ("MILLRACE_HTTP__AUTHENTICATION", "none"),
        ]);
        assert!(open.contains("loopback only"), "{open}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("millrace.toml");
        std::fs::write(&file, "[kafka]\nbootstrap = \"x\"\n").unwrap();
        let text = load(Some(&file), std::iter::empty())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("line 2") && text.contains("bootstrap_servers"),
            "{text}"
        );
    }

    #[test]
    fn a_secret_of_kafka_is_taken_by_reference_only() {
        let property = "MILLRACE_KAFKA__PROPERTIES__SASL_PASSWORD";
        with(&[(property, "${env:KAFKA_PASSWORD}")]).unwrap();
        let text = with(&[(property, "hunter2")]).unwrap_err().to_string();
        assert!(
            text.contains("sasl.password") && text.contains("${env:NAME}"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");

        let property = "MILLRACE_KAFKA__PROPERTIES__CLIENT_ID";
        let text = with(&[(property, "${env:HOME}")]).unwrap_err().to_string();
        assert!(text.contains("client.id is no secret"), "{text}");
    }

    #[test]
    fn printing_hides_the_password_and_reads_back() {
        let config = with(&[(
            "MILLRACE_DATABASE__URL",
            "postgres://me:hunter2@db/millrace",
        )])
        .unwrap();
        let text = config.masked().unwrap();
        assert!(
            !text.contains("hunter2") && text.contains("me:***@db"),
            "{text}"
        );
        assert!(!format!("{config:?}").contains("hunter2"));
        toml::from_str::<Config>(&text).unwrap();
    }
}
