//! `millrace up`: everything on one machine, started in order and ended in order.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinSet};

use super::logging;
use crate::app::{self, App, Claim, Shutdown, token};
use crate::config::Config;
use crate::http::{Guard, Server};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace up
  MILLRACE_HTTP__LISTEN=127.0.0.1:9000 millrace up
  MILLRACE_HTTP__LISTEN=0.0.0.0:8080 millrace up       asks every caller for the admin token
  millrace up --log json --json")]
pub(super) struct Arguments {
    /// What a line of the log looks like
    #[arg(long, value_enum, default_value = "text")]
    log: logging::Format,
    /// Say where Millrace listens as a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(file: Option<&Path>, arguments: &Arguments) -> Result<()> {
    let config = Config::load(file)?;
    config.onnxruntime.check()?;
    logging::start(arguments.log)?;
    let address = config.http.listen;
    // Before anything is written: a second Millrace must not touch what the first one has.
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; if another program is there, choose an address with MILLRACE_HTTP__LISTEN")
    })?;
    let address = listener.local_addr()?;
    // Both are held until the end of the process, however it ends.
    let _lock = lock(&config.data.folder)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let claim = tokio::select! {
        claim = Claim::take(&config) => claim?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let app = App::open(config).await?;
    let guard = guard(&app, arguments).await?;
    let (ending, shutdown) = app::shutdown();

    let mut tasks: JoinSet<(&str, Result<()>)> = JoinSet::new();
    let mut background = |name: &'static str, work: BoxFuture<'static, ()>| {
        tasks.spawn(async move {
            work.await;
            (name, Ok(()))
        });
    };
    background(
        "publisher",
        app::outbox::publish(app.clone(), shutdown.clone()).boxed(),
    );
    background(
        "projector",
        until(shutdown.clone(), app::projector::run(app.clone())).boxed(),
    );
    background(
        "scheduler",
        until(shutdown.clone(), app::training::schedule::run(app.clone())).boxed(),
    );
    background(
        "janitor",
        until(shutdown.clone(), app::janitor::run(app.clone())).boxed(),
    );
    background(
        "reconciler",
        functions(app.clone(), shutdown.clone()).boxed(),
    );
    let server = Server::new(app, guard, shutdown)?;
    tasks.spawn(async move { ("server", server.serve(listener).await) });
    announce(address, arguments)?;

    let mut failure: Option<anyhow::Error> = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = claim.lost() => Some(error.into()),
        Some(ended) = tasks.join_next() => {
            Some(failed(ended).unwrap_or_else(|| anyhow!("a part of Millrace ended by itself")))
        }
    };
    tracing::info!("ending");
    ending.begin();
    while let Some(ended) = tasks.join_next().await {
        failure = failure.or(failed(ended));
    }
    match failure {
        None => {
            tracing::info!("ended");
            Ok(())
        }
        Some(error) => Err(error),
    }
}

/// Takes the data folder for this process: two that work in one would undo each other's work.
fn lock(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
    let path = folder.join("millrace.lock");
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.try_lock().with_context(|| {
        format!(
            "another Millrace works in the data folder {}; end it, or name another folder with MILLRACE_DATA__FOLDER",
            folder.display()
        )
    })?;
    Ok(file)
}

/// Keeps functions as they are wanted, and ends them in order at the end. Their rows still say what
/// is wanted, so the next start puts them back.
async fn functions(app: App, shutdown: Shutdown) {
    app::reconciler::run(app.clone(), shutdown).await;
    app.platforms.shutdown().await;
}

/// Drops work that may be dropped at any point when the end is ordered.
async fn until(shutdown: Shutdown, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = shutdown.requested() => {}
    }
}

fn failed(ended: Result<(&str, Result<()>), JoinError>) -> Option<anyhow::Error> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((task, Err(error))) => Some(error.context(format!("the {task} failed"))),
        Err(error) => Some(error.into()),
    }
}

/// The rule of who may come in; where a token is needed and there is none yet, one is made and
/// shown.
async fn guard(app: &App, arguments: &Arguments) -> Result<Guard> {
    let http = &app.config.http;
    if !http.needs_token() {
        if !http.listen.ip().is_loopback() {
            bail!(
                "{} can be reached from other machines: Millrace starts there only with a token",
                http.listen
            );
        }
        return Ok(Guard::on_loopback(http.public.clone()));
    }
    let (verifier, made) = token::obtain(app).await?;
    if let Some(token) = made {
        let token = token.expose_secret();
        if arguments.json {
            output::line(json!({ "token": token }))?;
        } else {
            output::line(format_args!("The admin token, shown this once: {token}"))?;
            output::line(
                "Commands take it from MILLRACE_TOKEN, the playground from the field on its page.",
            )?;
        }
    }
    Ok(Guard::with_token(verifier))
}

fn announce(address: SocketAddr, arguments: &Arguments) -> Result<()> {
    if arguments.json {
        output::line(json!({"listening": address.to_string()}))?;
    } else {
        output::line(format_args!(
            "Millrace listens on http://{address}, the playground is at http://{address}/playground"
        ))?;
    }
    tracing::info!(http.address = %address, version = env!("CARGO_PKG_VERSION"), "started");
    Ok(())
}
