//! The clean-ups: batches of bounded duration that wait for no lock.

mod holds;
mod keys;
mod orders;
mod rate;
mod round;
mod size;
mod skipped;
mod stamp;
mod task;

pub(crate) use holds::Holds;
pub(crate) use keys::Keys;
pub(crate) use orders::Orders;

use super::executor::Executor;
use crate::inventory::{model::Error, model::cleanup::Cleaned};
use round::Round;
use task::Task;

/// Cleans up every row that is due, at most `rate_limit` rows per second.
pub(crate) async fn clean_up<T: Task>(
    executor: &Executor,
    rate_limit: Option<u32>,
    task: &T,
) -> Result<Cleaned, Error> {
    let mut round = Round::new(executor, rate_limit, task);
    round.pass().await?;
    round.come_back().await?;
    round.finish()
}
