//! The `millrace` command: arguments and start-up only.

use std::process::ExitCode;

use clap::Parser as _;
use millrace_api::cli::{self, Cli};
use millrace_api::output::explain;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            #[allow(
                clippy::print_stderr,
                reason = "the last word to whoever called the command"
            )]
            {
                eprintln!("millrace: {}", explain(&error));
            }
            ExitCode::FAILURE
        }
    }
}
