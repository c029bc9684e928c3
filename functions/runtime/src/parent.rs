//! Watches over the parent: a function that a supervisor started must not outlive it.
//!
//! The supervisor holds the other end of the pipe that is the function's standard input. When the
//! supervisor dies, however it dies, the kernel closes that end, and the function reads the end of
//! its input. Where standard input is not a pipe (a terminal, a container's `/dev/null`), nobody
//! promised to hold it, and it is not watched.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::process;
use std::thread;
use std::time::Duration;

use crate::failure::{Failure, PARENT_GONE};

/// How long the libraries' exit handlers may take before the process ends without them.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// Ends the process as soon as its standard input, where it is a pipe, comes to its end.
pub(crate) fn watch() -> Result<(), Failure> {
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from);
    let Ok(mut input) = input else {
        return Ok(()); // closed from the start, as some service managers do
    };
    let is_held = input
        .metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.file_type().is_socket());
    if !is_held {
        return Ok(());
    }
    thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            let mut ignored = [0; 64];
            // An interrupted read is tried again by the loop; any other error means that there is
            // nothing left to wait for.
            loop {
                match input.read(&mut ignored) {
                    Ok(1..) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
            tracing::error!("the parent process is gone: the function ends at once");
            end_at_once(PARENT_GONE);
        })
        .map(|_| ())
        .map_err(|error| Failure::failed(format!("cannot start the parent watch: {error}")))
}

/// Ends the process from any thread. Exit handlers of the libraries inside may wait for threads
/// that are in the middle of something: they get a moment, not the last word.
pub(crate) fn end_at_once(code: u8) -> ! {
    let started = thread::Builder::new().spawn(|| {
        thread::sleep(EXIT_LIMIT);
        process::abort();
    });
    if started.is_err() {
        process::abort();
    }
    process::exit(i32::from(code))
}
