//! The periodic clean-up task.

#[cfg(test)]
mod tests;

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::{
    api::Inventory,
    model::{Cleaned, Cleanup, Error},
};
use crate::metrics;

/// Cleans up an inventory at an interval: cancels unpaid orders, ends expired holds, and forgets old
/// idempotency keys.
///
/// Run a janitor in one process of the host or in all of them, or call [`run_once`](Self::run_once) from a job:
/// several janitors skip the rows that another one has locked. [Skipped](Cleanup::skipped) rows are tried again
/// in the next round.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use optilock::inventory::{Janitor, MemoryInventory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shop = Arc::new(MemoryInventory::new());
/// let janitor = Janitor::new(Arc::clone(&shop)).with_unpaid_after(Duration::from_secs(15 * 60));
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(async move {
///     janitor.run(async { drop(stopped.await) }).await;
/// });
/// // .. the shop is open ..
/// drop(stop);
/// running.await.unwrap();
/// # }
/// ```
///
/// # Default
///
/// | Option | Value |
/// |---|---|
/// | interval | 60 s, randomised by a tenth |
/// | age at which an order counts as unpaid | 30 minutes |
/// | age at which an idempotency key is forgotten | 7 days; keys are searched once an hour, as that reads all orders that have one, and the first time after a random part of an hour |
#[derive(Clone, Debug)]
#[must_use]
pub struct Janitor<I> {
    inventory: I,
    interval: Duration,
    unpaid_after: Duration,
    keys_after: Duration,
}

/// A search for old keys reads all orders that have one: an index by age would slow every sale down.
const KEYS_EVERY: Duration = Duration::from_secs(3_600);

impl<I: Inventory> Janitor<I> {
    /// Creates a janitor of this inventory, which may be an `Arc`.
    pub const fn new(inventory: I) -> Self {
        Self {
            inventory,
            interval: Duration::from_secs(60),
            unpaid_after: Duration::from_secs(30 * 60),
            keys_after: Duration::from_secs(7 * 24 * 3_600),
        }
    }

    /// Sets the pause between two rounds: 1 s to 365 days; a value outside of the range counts as its nearest
    /// bound. Each pause is randomised by a tenth, so that processes that start together spread their rounds.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(
            Duration::from_secs(1),
            Duration::from_secs(365 * 24 * 3_600),
        );
        self
    }

    /// Sets the age at which an order that awaits payment is cancelled.
    pub const fn with_unpaid_after(mut self, age: Duration) -> Self {
        self.unpaid_after = age;
        self
    }

    /// Sets the age of an order at which its idempotency key is forgotten.
    pub const fn with_keys_after(mut self, age: Duration) -> Self {
        self.keys_after = age;
        self
    }

    /// Cleans up and pauses in turns until `stop` is ready; a clean-up that is running then is finished first.
    /// Dropping the future is safe at any time.
    ///
    /// A clean-up that fails is a `WARN` event with target `optilock::janitor` and is tried again in the next
    /// round. The numbers of rows that were cleaned up, skipped and refused are an `INFO` event. Each order or
    /// product that the database refuses to change is a `WARN` event with target `optilock::cleanup`. The
    /// feature `metrics` counts them.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with its timer enabled.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        // Processes that start together, or restart often, do not all read every key at their start.
        let mut keys_due = Instant::now() + KEYS_EVERY.mul_f64(rand::random());
        loop {
            // The stop signal is checked after each clean-up.
            for target in Target::ALL {
                if let Target::Keys = target {
                    if Instant::now() < keys_due {
                        continue;
                    }
                    keys_due = Instant::now() + KEYS_EVERY;
                }
                self.clean_and_log(target).await;
                if timeout(Duration::ZERO, stop.as_mut()).await.is_ok() {
                    return;
                }
            }
            let pause = self.interval.mul_f64(rand::random_range(0.9..=1.1));
            if timeout(pause, stop.as_mut()).await.is_ok() {
                return;
            }
        }
    }

    /// Cleans up once: unpaid orders, expired holds and old idempotency keys.
    ///
    /// # Errors
    ///
    /// Returns the first error. The other clean-ups run all the same.
    pub async fn run_once(&self) -> Result<Cleaned, Error> {
        let mut all = Cleaned::default();
        let mut failed = None;
        for target in Target::ALL {
            match self.clean_and_count(target).await {
                Ok(done) => all = all.plus(done),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(all), Err)
    }

    async fn clean_and_log(&self, target: Target) {
        match self.clean_and_count(target).await {
            Ok(done) if done == Cleaned::default() => {
                debug!(target: "optilock::janitor", what = target.as_str(), "nothing to clean up");
            }
            Ok(Cleaned { cleanup, keys }) => {
                let Cleanup {
                    orders,
                    holds,
                    units,
                    skipped,
                    refused,
                    ..
                } = cleanup;
                info!(target: "optilock::janitor", orders, holds, units, keys, skipped, refused, "cleaned up");
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                warn!(target: "optilock::janitor", what = target.as_str(), error, "clean-up failed");
            }
        }
    }

    async fn clean_and_count(&self, target: Target) -> Result<Cleaned, Error> {
        let done = self.clean(target).await;
        match &done {
            Ok(Cleaned { cleanup, keys }) => {
                metrics::cleaned("orders", cleanup.orders);
                metrics::cleaned("holds", cleanup.holds);
                metrics::cleaned("units", cleanup.units);
                metrics::cleaned("keys", *keys);
            }
            Err(_) => metrics::cleanup_failed(target.as_str()),
        }
        done
    }

    async fn clean(&self, target: Target) -> Result<Cleaned, Error> {
        let mut done = Cleaned::default();
        match target {
            Target::Orders => {
                let orders = self.inventory.cleanup_failed_orders(self.unpaid_after);
                done.cleanup = orders.await?;
            }
            Target::Reservations => done.cleanup = self.inventory.cleanup_reservations().await?,
            Target::Keys => {
                let keys = self.inventory.cleanup_idempotency_keys(self.keys_after);
                done.keys = keys.await?;
            }
        }
        Ok(done)
    }
}

/// The rows of one clean-up.
#[derive(Clone, Copy, Debug)]
enum Target {
    Orders,
    Reservations,
    Keys,
}

impl Target {
    const ALL: [Self; 3] = [Self::Orders, Self::Reservations, Self::Keys];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Reservations => "reservations",
            Self::Keys => "keys",
        }
    }
}
