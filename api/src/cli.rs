//! The `millrace` command: what there is to call, and the first lines of its log.

mod config;
#[cfg(test)]
mod help;
mod logging;
mod onnx;
mod schema;
mod token;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::client;

const EXAMPLES: &str = "\
Examples:
  millrace up                                     everything on one machine, at http://127.0.0.1:8080
  MILLRACE_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 millrace up
  millrace model push digits model.onnx           a model, or its next version, from an ONNX file
  millrace onnx check model.onnx                  what of a model can be trained

Configuration comes from millrace.toml and from variables MILLRACE_<SECTION>__<KEY>;
`millrace config` shows all of it. MILLRACE_LOG sets what is logged (info, debug, millrace_api=debug),
MILLRACE_TOKEN carries the admin token for commands that speak to an API.";

/// Machine learning on Kafka: trains models from streams and runs them on streams.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The configuration file, in place of millrace.toml
    #[arg(long, global = true, value_name = "FILE", env = "MILLRACE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Millrace: the API and the functions that it runs
    Up(up::Arguments),
    /// Check the configuration and print it, with secrets masked
    Config(config::Arguments),
    /// Print the GraphQL schema
    Schema(schema::Arguments),
    /// Make a new admin token in place of the old one
    Token(token::Arguments),
    /// Models, from the command line
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace model push digits digits.onnx
  MILLRACE_URL=http://millrace:8080 millrace model push digits digits.onnx --json"
    )]
    Model(client::model::ModelCommand),
    /// ONNX files alone: their training steps, and whether they have one
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace onnx check model.onnx
  millrace onnx step model.onnx --loss cross-entropy --optimizer adam -o step.onnx"
    )]
    Onnx(onnx::OnnxCommand),
    /// Records that an inference could not answer: look at them, and send them back
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace dead-letters list points
  millrace dead-letters redrive points --all"
    )]
    DeadLetters(client::dead_letters::DeadLettersCommand),
    /// Inferences: how far they are, replays and rescoring
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace inference show points
  millrace inference replay points again --output-topic again --from 2026-11-22T00:00:00Z"
    )]
    Inference(client::inference::InferenceCommand),
    /// Send records to a datasource, and make a segment of them
    Send(client::send::SendArguments),
    /// Explain an answer: its input, the version and what that was made of, and whether it answers the same again
    ///
    /// Takes a record of an output topic, or a dead letter, by its place. Ends with code 1 where the answer is another now.
    #[command(after_help = "\
Examples:
  millrace why points-output/0/17
  millrace why points-output/0/17 --json
  millrace why millrace.dlq.points/0/3 --no-rerun")]
    Why(client::why::WhyArguments),
}

/// Runs what was asked for, and says with which code the process ends.
///
/// # Errors
/// What went wrong, for people.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let file = cli.config.as_deref();
    if matches!(cli.command, Command::Up(_) | Command::Token(_)) {
        keep_private();
    }
    match cli.command {
        Command::Up(arguments) => up::run(file, &arguments).await?,
        Command::Config(arguments) => config::run(file, &arguments)?,
        Command::Schema(arguments) => schema::run(&arguments)?,
        Command::Token(arguments) => token::run(file, &arguments).await?,
        Command::Model(command) => client::model::run(command).await?,
        Command::Onnx(command) => return tokio::task::block_in_place(|| onnx::run(&command)),
        Command::DeadLetters(command) => client::dead_letters::run(command).await?,
        Command::Inference(command) => client::inference::run(command).await?,
        Command::Send(arguments) => client::send::run(arguments).await?,
        Command::Why(arguments) => return client::why::run(arguments).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// What Millrace keeps (its database, artifacts, checkpoints, logs) is for its own user alone, and what its functions
/// make is as well: they inherit this. An artifact may be anybody's data, and so may a line of a log.
fn keep_private() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}
