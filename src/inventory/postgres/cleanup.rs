//! The clean-ups: batches of a bounded time that wait for no lock.

mod holds;
mod keys;
mod orders;
mod rate;
mod round;
mod size;
mod skipped;
mod stamp;
mod task;

pub(super) use holds::Holds;
pub(super) use keys::Keys;
pub(super) use orders::Orders;

use super::PgInventory;
use crate::inventory::{Error, Tidied};
use round::Round;
use task::Task;

impl PgInventory {
    pub(super) async fn clean_up<T: Task>(&self, task: &T) -> Result<Tidied, Error> {
        let mut round = Round::new(self, task);
        round.pass().await?;
        round.come_back().await?;
        round.finish()
    }
}
