//! What a command prints: the one place that writes to standard output.
//!
//! Invariant: whoever reads it may have seen enough and close it, which is no fault of the command's.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

/// Prints a text as it is.
///
/// # Errors
/// It cannot be written, to a full disk for instance.
pub fn text(text: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line.
///
/// # Errors
/// As [`text`].
pub fn line(line: impl Display) -> io::Result<()> {
    text(format_args!("{line}\n"))
}

/// An error with its causes in one line. Many errors say their cause themselves: that is not said a second time.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if last.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
        last = cause;
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use sea_orm::{DbErr, RuntimeErr};

    use super::*;
    use crate::app;

    #[test]
    fn a_cause_is_said_once() {
        let plain = Err::<(), _>(io::Error::other("the disk is away"));
        let error = plain.context("reading the file").context("no model");
        assert_eq!(
            error.map_err(|error| explain(&error)),
            Err("no model: reading the file: the disk is away".to_owned())
        );

        let refused = DbErr::Conn(RuntimeErr::Internal("nobody answers".to_owned()));
        let error = anyhow::Error::from(app::Error::from(refused)).context("starting");
        assert_eq!(
            explain(&error),
            "starting: the database failed: Connection Error: nobody answers"
        );
        let error = app::Error::internal(io::Error::other("no such folder"));
        assert_eq!(explain(&error.into()), "no such folder");
    }
}
