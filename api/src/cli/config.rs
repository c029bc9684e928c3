//! `millrace config`

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::config::Config;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace config
  millrace config --json | jq .kafka
  MILLRACE_KAFKA__PREFIX=acme millrace --config /etc/millrace.toml config")]
pub(super) struct Arguments {
    /// Print JSON in place of TOML
    #[arg(long)]
    json: bool,
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<()> {
    let config = Config::load(file)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&config).context("printing the configuration")?;
        output::line(text)?;
    } else {
        output::text(config.masked()?)?;
    }
    Ok(())
}
