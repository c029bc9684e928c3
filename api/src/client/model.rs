//! `millrace model push`: uploads an ONNX file and makes a version of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use millrace_wire::samples::Tolerance;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{Client, Server};
use crate::output;

/// Commands about models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Upload an ONNX file as a new model, or as a new version of one
    ///
    /// Weights that an exporter wrote into a second file (as PyTorch does) are put inside. With --expect the model has to
    /// give what samples say, here and on every machine that is to answer with it: |actual − expected| ≤ atol + rtol × |expected|.
    #[command(after_help = "Examples:
  millrace model push digits digits.onnx
  millrace model push digits digits.onnx --expect samples.npz --rtol 0.01
  millrace model push digits digits.onnx --json")]
    Push(Push),
}

/// Arguments of `model push`.
#[derive(Debug, Args)]
pub struct Push {
    /// The model's name; made if there is none of that name
    name: String,
    /// The ONNX file
    file: PathBuf,
    /// Inputs with the outputs that the model has to give, as numpy's savez writes them: arrays named as inputs and outputs
    #[arg(long, value_name = "NPZ")]
    expect: Option<PathBuf>,
    /// How far from an expected number an answer may lie, as a share of that number
    #[arg(long, default_value_t = Tolerance::default().relative, requires = "expect")]
    rtol: f64,
    /// How far it may lie on top of that, which counts near zero
    #[arg(long, default_value_t = Tolerance::default().absolute, requires = "expect")]
    atol: f64,
    /// The project
    #[arg(long, default_value = "default")]
    project: String,
    /// Print the version as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

const FIND: &str = "query Find($project: String!, $name: String!) {
  project(name: $project) { model(name: $name) { id } }
}";
const CREATE_MODEL: &str = "mutation CreateModel($project: String!, $name: String!, $digest: String!, $samples: SamplesInput) {
  createModel(input: {project: $project, name: $name, artifact: $digest, samples: $samples}) { version { ...Made } }
}
fragment Made on Version {
  id number digest size signature { inputs { name text } outputs { name text } }
  samples { digest count relativeTolerance absoluteTolerance }
}";
const CREATE_VERSION: &str = "mutation CreateVersion($project: String!, $name: String!, $digest: String!, $samples: SamplesInput) {
  createVersion(input: {project: $project, model: $name, artifact: $digest, samples: $samples}) { version { ...Made } }
}
fragment Made on Version {
  id number digest size signature { inputs { name text } outputs { name text } }
  samples { digest count relativeTolerance absoluteTolerance }
}";

/// Runs a command about models.
///
/// # Errors
/// Where the file cannot be read or is not a model, and the API's.
pub async fn run(command: ModelCommand) -> Result<()> {
    let ModelCommand::Push(push) = command;
    let whole = tokio::task::spawn_blocking({
        let file = push.file.clone();
        move || {
            self_contained(&file).with_context(|| format!("{} cannot be pushed", file.display()))
        }
    })
    .await??;
    let client = push.server.client();
    let digest = digest(whole.path()).await?;
    upload(&client, whole.path(), &digest).await?;
    let samples = match &push.expect {
        None => Value::Null,
        Some(file) => {
            let cannot = || format!("{} cannot be pushed", file.display());
            let digest = self::digest(file).await.with_context(cannot)?;
            upload(&client, file, &digest).await.with_context(cannot)?;
            json!({"artifact": digest, "relativeTolerance": push.rtol, "absoluteTolerance": push.atol})
        }
    };
    let names = json!({"project": push.project, "name": push.name});
    let found = client.execute(FIND, names).await?;
    if found["project"].is_null() {
        bail!("there is no project {}", push.project);
    }
    let (operation, field) = if found["project"]["model"].is_null() {
        (CREATE_MODEL, "createModel")
    } else {
        (CREATE_VERSION, "createVersion")
    };
    let variables = json!({
        "project": push.project, "name": push.name, "digest": digest, "samples": samples,
    });
    let mut made = client.execute(operation, variables).await?;
    print(&push.name, &made[field]["version"].take(), push.json)
}

/// A copy of the model with all its weights inside; it goes when it is dropped.
pub(crate) fn self_contained(file: &Path) -> Result<tempfile::NamedTempFile> {
    let mut whole = tempfile::NamedTempFile::new()?;
    millrace_onnx::external::embed(file, &mut whole)?;
    Ok(whole)
}

async fn digest(file: &Path) -> Result<String> {
    let mut file = tokio::fs::File::open(file).await?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// Streams the file to the API, which checks the digest.
async fn upload(client: &Client, file: &Path, digest: &str) -> Result<()> {
    let file = tokio::fs::File::open(file).await?;
    let size = file.metadata().await?.len();
    let answer = client
        .request(reqwest::Method::PUT, &format!("/artifacts/{digest}"))
        .header("Content-Length", size)
        .body(reqwest::Body::wrap_stream(ReaderStream::new(file)))
        .send()
        .await
        .context("the file did not reach the API")?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    bail!(
        "the API refused the file ({status}): {}",
        answer.text().await?.trim()
    );
}

fn print(model: &str, version: &Value, as_json: bool) -> Result<()> {
    if as_json {
        output::line(serde_json::to_string_pretty(version)?)?;
        return Ok(());
    }
    output::line(format_args!(
        "{model} version {} ({} bytes)",
        version["number"], version["size"]
    ))?;
    for side in ["inputs", "outputs"] {
        for tensor in version["signature"][side].as_array().into_iter().flatten() {
            output::line(format_args!(
                "  {side:<8} {}",
                tensor["text"].as_str().unwrap_or_default()
            ))?;
        }
    }
    let samples = &version["samples"];
    if !samples.is_null() {
        output::line(format_args!(
            "  gives what {} samples expect",
            samples["count"]
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_onnx::layers::{self, Activation, Layer};

    use super::*;

    #[test]
    fn a_file_that_is_cut_short_is_told_from_one_that_is_no_model() {
        let dense = Layer::Dense {
            units: 10,
            activation: Activation::Relu,
            bias: true,
        };
        let whole = layers::build(&[4], &[dense], 1).unwrap().encode();
        let file = tempfile::NamedTempFile::new().unwrap();
        let refusal = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            format!("{:#}", self_contained(file.path()).unwrap_err())
        };
        let cut = refusal(&whole[..whole.len() / 2]);
        assert!(cut.contains("cut short"), "{cut}");
        let text = refusal(b"this is not a model");
        assert!(text.contains("not an ONNX model"), "{text}");
    }
}
