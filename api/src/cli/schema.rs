//! `millrace schema`

use clap::Args;
use serde_json::json;

use crate::output;

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
    if arguments.json {
        output::line(json!({ "sdl": sdl }))
    } else {
        output::text(sdl)
    }
}
