//! The demo: trains a model from one Kafka topic and predicts on another, as a user would, through
//! the GraphQL API and the `millrace` command. It exits with an error unless every record that was
//! sent has exactly one prediction and the accuracy is what it should be.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

mod check;
mod cluster;
mod graphql;
mod job;
mod show;
mod stack;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

/// Starts Kafka and Millrace, trains on digits, predicts digits and checks every prediction.
#[derive(Parser)]
struct Arguments {
    /// Start everything, but leave the job out (and keep the data in .millrace).
    #[arg(long)]
    no_job: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let interrupted = stack::interrupted()?;
    tokio::pin!(interrupted);
    let mut stack = tokio::select! {
        stack = stack::Stack::start(arguments.no_job) => stack?,
        // What has started is killed with its handle.
        () = &mut interrupted => bail!("interrupted"),
    };
    let place = stack.place().clone();
    if !arguments.no_job {
        let outcome = tokio::select! {
            outcome = job::run(&place) => outcome,
            ended = stack.ended() => Err(ended),
            () = &mut interrupted => {
                stack.stop().await?;
                bail!("interrupted before the job was done");
            }
        };
        if let Err(error) = outcome {
            eprintln!("{}", stack.logs());
            stack.stop().await?;
            return Err(error);
        }
    }
    if std::io::stdout().is_terminal() || arguments.no_job {
        println!("\nMillrace runs on.  playground: {}/playground", place.url);
        println!("                   Kafka:      {}", place.bootstrap);
        println!("                   stop:       Ctrl-C");
        tokio::select! {
            () = &mut interrupted => {}
            ended = stack.ended() => {
                eprintln!("{}", stack.logs());
                stack.stop().await?;
                return Err(ended);
            }
        }
    }
    stack.stop().await
}
