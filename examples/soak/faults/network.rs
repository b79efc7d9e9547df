//! Connections are cut, fall silent, or are slow.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

use crate::{BoxError, proxy::Cut, stage::Stage};

/// How long a trap waits for its message.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn cut(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let cut = [Cut::Before, Cut::Answer, Cut::Within][random.random_range(0..3)];
    Ok(stage.proxy.cut(cut, false, LIMIT).await.into())
}

pub(super) async fn cut_commit(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let cut = [Cut::Before, Cut::Answer, Cut::Answer][random.random_range(0..3)];
    Ok(stage.proxy.cut(cut, true, LIMIT).await.into())
}

pub(super) async fn silence(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let time = Duration::from_millis(random.random_range(500..3_000));
    Ok(stage.proxy.silence(time).await)
}

pub(super) async fn delay(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let time = Duration::from_millis(random.random_range(200..1_500));
    Ok(stage.proxy.delay(time).await)
}
