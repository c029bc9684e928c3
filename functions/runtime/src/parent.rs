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

use rustix::process::Signal;

use crate::failure::Failure;

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
            end_at_once();
        })
        .map(|_| ())
        .map_err(|error| Failure::failed(format!("cannot start the parent watch: {error}")))
}

/// Ends the process from any thread, before any other thread takes one more step.
///
/// It is a SIGKILL to itself, since an exit would run the libraries' exit handlers while other
/// threads go on: ONNX Runtime, torn down under a training, made that training fail, and the
/// failure was reported before the process had ended.
pub(crate) fn end_at_once() -> ! {
    // It cannot fail: a process may always signal itself.
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    process::abort()
}
