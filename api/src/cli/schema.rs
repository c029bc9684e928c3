//! `millrace schema`

use std::io::{ErrorKind, Write as _};

use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace schema > schema.graphql
  millrace schema --json | jq -r .sdl")]
pub(super) struct Arguments {
    /// Print a JSON object with the schema as `sdl`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> std::io::Result<()> {
    let sdl = crate::graphql::sdl();
    let text = if arguments.json {
        format!("{}\n", json!({ "sdl": sdl }))
    } else {
        sdl
    };
    // Whoever reads it may have seen enough, which print! would take for a fault.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
