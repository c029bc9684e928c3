//! Makes a trial in a process of its own, which ends with the outcome.
//!
//! Invariant: the process ends with this call, however that ends.

use millrace_wire::trial::{ARGUMENT, Outcome, Trial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::time::timeout;

use super::{Settings, program};

/// Makes a trial.
///
/// # Errors
/// Why there is no outcome, as a sentence.
pub(super) async fn try_out(settings: &Settings, trial: &Trial) -> Result<Outcome, String> {
    let binary = &settings.inference;
    let mut child = program(settings, binary)
        .arg(ARGUMENT)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
    let answer = timeout(settings.trial, converse(&mut child, trial)).await;
    answer.unwrap_or_else(|_| {
        Err(format!(
            "it has not answered within {:?}, and was ended",
            settings.trial
        ))
    })
}

async fn converse(child: &mut Child, trial: &Trial) -> Result<Outcome, String> {
    let lost = |error: std::io::Error| format!("its process was lost: {error}");
    let missing = || "its process has no pipes".to_owned();
    let mut question = trial.to_json();
    question.push(b'\n');
    // Held until the end, which tells the process that we are still there.
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let mut output = child.stdout.take().ok_or_else(missing)?;
    let mut log = child.stderr.take().ok_or_else(missing)?;
    let (mut said, mut logged) = (Vec::new(), Vec::new());
    let (asked, heard, followed) = tokio::join!(
        input.write_all(&question),
        output.read_to_end(&mut said),
        log.read_to_end(&mut logged)
    );
    let status = child.wait().await.map_err(lost)?;
    drop(input);
    followed.map_err(lost)?;
    let logged = String::from_utf8_lossy(&logged);
    tracing::debug!("a trial said: {logged}");
    if !status.success() {
        let reason = logged.lines().last().unwrap_or("it said nothing");
        return Err(format!("its process ended with {status}: {reason}"));
    }
    // Where it has not read the question, it has no outcome either, which says more than a broken pipe.
    drop(asked);
    heard.map_err(lost)?;
    Outcome::from_json(&said).map_err(|error| error.to_string())
}
