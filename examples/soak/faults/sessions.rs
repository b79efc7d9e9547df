//! Sessions, the server and client processes end, or stand still.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IteratorRandom};
use support::Crash;
use tokio::time::sleep;

use crate::{BoxError, stage::Stage};

pub(super) async fn kill_backend(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    stage.terminate(random.random_range(1..=4)).await
}

pub(super) async fn cancel(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    stage.cancel(random.random_range(1..=3)).await
}

pub(super) async fn crash(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let way = match random.random_bool(0.5) {
        true => Crash::Quit,
        false => Crash::Kill,
    };
    let server = stage.server.clone();
    tokio::task::spawn_blocking(move || server.blocking_lock().crash_and_restart(way)).await??;
    Ok(1)
}

pub(super) async fn kill_client(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let mut processes = stage.processes.clone().lock_owned().await;
    let client = random.random_range(0..processes.count());
    tokio::task::spawn_blocking(move || processes.kill(client).map_err(|error| error.to_string()))
        .await??;
    Ok(1)
}

/// A process whose runtime stands still holds what it has locked.
pub(super) async fn stop_client(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let pause = Duration::from_millis(random.random_range(100..2_000));
    // It must not be killed and replaced meanwhile, or the signal would meet another one.
    let processes = stage.processes.lock().await;
    let client = (0..processes.count()).choose(random).unwrap_or(0);
    processes.signal(client, "STOP")?;
    sleep(pause).await;
    processes.signal(client, "CONT")?;
    Ok(1)
}
