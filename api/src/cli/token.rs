//! `millrace token`

use std::path::Path;

use anyhow::Result;
use clap::Args;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::app::{App, token};
use crate::config::Config;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
The old token is void as soon as the API is started again.

Examples:
  millrace token
  export MILLRACE_TOKEN=$(millrace token --json | jq -r .token)")]
pub(super) struct Arguments {
    /// Print a JSON object with the `token`
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(file: Option<&Path>, arguments: &Arguments) -> Result<()> {
    let app = App::open(Config::load(file)?).await?;
    let token = token::replace(&app).await?;
    if arguments.json {
        output::line(json!({ "token": token.expose_secret() }))?;
    } else {
        output::line(token.expose_secret())?;
    }
    Ok(())
}
