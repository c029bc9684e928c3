//! What the commands say of themselves, held for all of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use clap::{Command, CommandFactory as _, Parser as _};

use super::Cli;

/// All commands, each with its words on the command line.
fn commands() -> Vec<(String, Command)> {
    fn walk(line: &str, command: &Command, found: &mut Vec<(String, Command)>) {
        for inner in command.get_subcommands() {
            if inner.get_name() != "help" {
                walk(&format!("{line} {}", inner.get_name()), inner, found);
            }
        }
        found.push((line.to_owned(), command.clone()));
    }
    let mut whole = Cli::command();
    whole.build();
    let mut found = Vec::new();
    walk("millrace", &whole, &mut found);
    found
}

/// What stands below "Examples:", with lines that go on put together.
fn examples(command: &Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string);
    let text = text.unwrap_or_default();
    let pieces: Vec<&str> = text.split("\\\n").map(str::trim_start).collect();
    let text = pieces.join(" ");
    let (_, below) = text.split_once("Examples:\n").unwrap_or_default();
    let lines = below.lines().take_while(|line| line.starts_with("  "));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_command_says_what_it_is_for_and_how_it_is_called() {
    let commands = commands();
    assert!(commands.len() >= 10, "the walk found {}", commands.len());
    for (line, command) in commands {
        assert!(command.get_about().is_some(), "{line} says nothing");
        let examples = examples(&command);
        let is_own = |example: &&String| example.contains(&line);
        assert!(
            examples.iter().any(|example| is_own(&example)),
            "`{line} --help` has no example of it: {examples:?}"
        );
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(
                argument.get_help().is_some(),
                "`{line} --help` says nothing of {id}"
            );
        }
        let is_group = command.has_subcommands();
        let has_json = command.get_arguments().any(|argument| {
            argument.get_long() == Some("json") && !argument.get_action().takes_values()
        });
        assert!(is_group || has_json, "`{line}` has no --json");
    }
}

#[test]
fn every_example_is_taken() {
    for (line, command) in commands() {
        for example in examples(&command) {
            let (_, call) = example.split_once("millrace ").unwrap();
            // What the shell makes of the rest, or a remark behind it.
            let end = [" | ", " > ", "   ", ")"].iter();
            let end = end.filter_map(|end| call.find(end)).min();
            let call = call[..end.unwrap_or(call.len())].replace('\'', "");
            let words = std::iter::once("millrace").chain(call.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("`{line} --help` has the example {example:?}: {error}");
            }
        }
    }
}
