//! The floor of an inference's arithmetic: full batches through a session that does nothing else.

use std::process;
use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_engine::{Session, SessionOptions, Slice, View};

use crate::cpu;
use crate::numbers::Numbers;
use crate::subject::Cost;

/// Runs a model of one input on batches as large as the inference's largest, for `turn` or, on a busy machine,
/// a few of them.
pub(crate) fn run(model: &[u8], features: usize, batch: usize, turn: Duration) -> Result<Cost> {
    let mut session = Session::from_bytes(model, &SessionOptions::default())?;
    let input = session.inputs()[0].name.clone();
    let rows = Numbers::from_seed(1).floats(batch * features);
    let mut run = || -> Result<()> {
        let rows = View::new([batch, features], Slice::F32(&rows));
        session.run(&[(&input, rows)])?;
        Ok(())
    };
    run()?;
    let (start, cpu) = (Instant::now(), cpu::seconds(process::id())?);
    let (mut records, mut cpu_seconds) = (0, 0.0);
    // On a busy machine a turn may pass without enough CPU time to be seen in ticks.
    while cpu_seconds < turn.as_secs_f64() / 2.0 {
        let slice = Instant::now();
        while slice.elapsed() < turn {
            run()?;
            records += batch;
        }
        cpu_seconds = cpu::seconds(process::id())? - cpu;
    }
    Ok(Cost {
        records,
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds,
    })
}
