//! Clean-ups: batch after batch, at a pace.

use std::time::Duration;

use sqlx::PgConnection;

use super::{PgInventory, orders, pace::Pace, reservations};
use crate::inventory::{Error, Tidied};

/// The most rows that one statement changes: enough to be quick (35,000 orders/s by 2,000, 31,000 by
/// 500, and beside checkouts these keep 0.73 and 0.59 of their speed), few enough that who buys one of
/// their products waits for less than a tenth of a second.
const BATCH: u64 = 2_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Sweep {
    Orders { older_than: Duration },
    Keys { older_than: Duration },
    Reservations,
}

impl Sweep {
    const fn label(self) -> &'static str {
        match self {
            Self::Orders { .. } => "clean up orders",
            Self::Keys { .. } => "clean up keys",
            Self::Reservations => "clean up reservations",
        }
    }

    /// One batch, and how many rows it was.
    async fn batch(self, conn: &mut PgConnection, size: u64) -> Result<(Tidied, u64), Error> {
        let mut done = Tidied::default();
        let rows = match self {
            Self::Orders { older_than } => {
                done.cleanup = orders::sweep(conn, older_than, size).await?;
                done.cleanup.orders
            }
            Self::Keys { older_than } => {
                done.keys = orders::forget_keys(conn, older_than, size).await?;
                done.keys
            }
            Self::Reservations => {
                done.cleanup = reservations::sweep(conn, size).await?;
                done.cleanup.holds
            }
        };
        Ok((done, rows))
    }

    /// Whether a batch of so many was the last. Holds come by the products of a batch, whatever their number.
    const fn ends_at(self, rows: u64, size: u64) -> bool {
        match self {
            Self::Orders { .. } | Self::Keys { .. } => rows < size,
            Self::Reservations => rows == 0,
        }
    }
}

impl PgInventory {
    pub(super) async fn sweep(&self, sweep: Sweep) -> Result<Tidied, Error> {
        let (mut done, mut pace) = (Tidied::default(), Pace::of(self.cleanup_pace));
        let size = pace.batch(BATCH);
        loop {
            // What is cleaned up already is not there for another attempt, whatever became of an earlier
            // one; only the counts would miss it.
            let (batch, rows) = self
                .read(sweep.label(), async |conn: &mut PgConnection, _| {
                    sweep.batch(conn, size).await
                })
                .await?;
            done = done.plus(batch);
            if sweep.ends_at(rows, size) {
                return Ok(done);
            }
            pace.rest(rows).await;
        }
    }
}
