//! The periodic clean-up.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::{
    api::Inventory,
    model::{Cleaned, Cleanup, Error},
};
use crate::metrics;

/// Cleans up at an interval: cancels unpaid orders, expires reservations past their time, and forgets
/// old idempotency keys.
///
/// Run one in every process of the host, or in one, or call [`run_once`](Self::run_once) from a job of your own:
/// several janitors skip what another one has locked. What was [skipped](Cleanup::skipped) is tried again
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
/// | | |
/// |---|---|
/// | interval | 60 s, a tenth more or less at random |
/// | orders are unpaid after | 30 minutes |
/// | idempotency keys are forgotten after | 7 days; looked for once an hour, as that reads all orders, and the first time after a random part of an hour |
#[derive(Clone, Debug)]
#[must_use]
pub struct Janitor<I> {
    inventory: I,
    interval: Duration,
    unpaid_after: Duration,
    keys_after: Duration,
}

/// Finding old keys reads all orders: an index by their age would cost every sale more.
const KEYS_EVERY: Duration = Duration::from_secs(3_600);

impl<I: Inventory> Janitor<I> {
    /// A janitor of this inventory, which may be an `Arc` of one.
    pub const fn new(inventory: I) -> Self {
        Self {
            inventory,
            interval: Duration::from_secs(60),
            unpaid_after: Duration::from_secs(30 * 60),
            keys_after: Duration::from_secs(7 * 24 * 3_600),
        }
    }

    /// How long it rests between two rounds, a second to a year. A tenth more or less at random, so that
    /// processes that were started together don't meet.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(
            Duration::from_secs(1),
            Duration::from_secs(365 * 24 * 3_600),
        );
        self
    }

    /// How long an order may await payment before it is cancelled.
    pub const fn with_unpaid_after(mut self, age: Duration) -> Self {
        self.unpaid_after = age;
        self
    }

    /// How old an order is when its idempotency key is forgotten.
    pub const fn with_keys_after(mut self, age: Duration) -> Self {
        self.keys_after = age;
        self
    }

    /// Cleans up, rests, and so on until `stop` is ready: then the clean-up that runs is ended first.
    /// Dropping it instead is safe at any time.
    ///
    /// A clean-up that fails is a `WARN` event with target `optilock::janitor` and is tried again in the next
    /// round; what was done, skipped and refused is an `INFO` event. Each order or product that the database
    /// refuses to change is a `WARN` event with target `optilock::cleanup`. Feature `metrics` counts them.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its timer enabled.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        // Processes that are started together, or often, don't read all orders each time.
        let mut keys_due = Instant::now() + KEYS_EVERY.mul_f64(rand::random());
        loop {
            // A broom at a time, to be stopped in between.
            for broom in Sweep::ALL {
                if let Sweep::Keys = broom {
                    if Instant::now() < keys_due {
                        continue;
                    }
                    keys_due = Instant::now() + KEYS_EVERY;
                }
                self.sweep(broom).await;
                if timeout(Duration::ZERO, stop.as_mut()).await.is_ok() {
                    return;
                }
            }
            let rest = self.interval.mul_f64(rand::random_range(0.9..=1.1));
            if timeout(rest, stop.as_mut()).await.is_ok() {
                return;
            }
        }
    }

    /// One round.
    ///
    /// # Errors
    ///
    /// The first that came; the other clean-ups are made all the same.
    pub async fn run_once(&self) -> Result<Cleaned, Error> {
        let mut all = Cleaned::default();
        let mut failed = None;
        for broom in Sweep::ALL {
            match self.sweep_once(broom).await {
                Ok(done) => all = all.plus(done),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(all), Err)
    }

    async fn sweep(&self, broom: Sweep) {
        match self.sweep_once(broom).await {
            Ok(done) if done == Cleaned::default() => {
                debug!(target: "optilock::janitor", what = broom.as_str(), "nothing to clean up");
            }
            Ok(Cleaned { cleanup, keys }) => {
                let Cleanup {
                    orders,
                    holds,
                    units,
                    skipped,
                    refused,
                } = cleanup;
                info!(target: "optilock::janitor", orders, holds, units, keys, skipped, refused, "cleaned up");
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                warn!(target: "optilock::janitor", what = broom.as_str(), error, "a clean-up failed");
            }
        }
    }

    async fn sweep_once(&self, broom: Sweep) -> Result<Cleaned, Error> {
        let done = self.clean(broom).await;
        match &done {
            Ok(Cleaned { cleanup, keys }) => {
                metrics::cleaned("orders", cleanup.orders);
                metrics::cleaned("holds", cleanup.holds);
                metrics::cleaned("units", cleanup.units);
                metrics::cleaned("keys", *keys);
            }
            Err(_) => metrics::cleanup_failed(broom.as_str()),
        }
        done
    }

    async fn clean(&self, broom: Sweep) -> Result<Cleaned, Error> {
        let mut done = Cleaned::default();
        match broom {
            Sweep::Orders => {
                let orders = self.inventory.cleanup_failed_orders(self.unpaid_after);
                done.cleanup = orders.await?;
            }
            Sweep::Reservations => done.cleanup = self.inventory.cleanup_reservations().await?,
            Sweep::Keys => {
                let keys = self.inventory.cleanup_idempotency_keys(self.keys_after);
                done.keys = keys.await?;
            }
        }
        Ok(done)
    }
}

#[derive(Clone, Copy, Debug)]
enum Sweep {
    Orders,
    Reservations,
    Keys,
}

impl Sweep {
    const ALL: [Self; 3] = [Self::Orders, Self::Reservations, Self::Keys];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Reservations => "reservations",
            Self::Keys => "keys",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;
    use crate::inventory::{
        memory::MemoryInventory,
        model::{Checkout, Line, Money, NewProduct, OrderStatus, Quantity, Sku, Stock},
    };

    async fn shop() -> Arc<MemoryInventory> {
        let shop = MemoryInventory::new();
        let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
        let pot = NewProduct::new(Sku::new("pot").unwrap(), "Pot", price);
        let pot = pot.with_stock(Stock::new(5).unwrap());
        shop.add_product(pot).await.unwrap();
        Arc::new(shop)
    }

    fn cart() -> Checkout {
        let line = Line::new(Sku::new("pot").unwrap(), Quantity::ONE);
        Checkout::new([line]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_comes_round_again_and_stops_when_told() {
        let shop = shop().await;
        let janitor = Janitor::new(Arc::clone(&shop)).with_unpaid_after(Duration::ZERO);
        let running = tokio::spawn(async move {
            janitor.run(sleep(Duration::from_secs(200))).await;
        });
        let mut cancelled = 0;
        for _ in 0..5 {
            let order = shop.checkout(cart()).await.unwrap().id;
            sleep(Duration::from_secs(67)).await;
            let status = shop.order(order).await.unwrap().status;
            cancelled += u32::from(status == OrderStatus::Cancelled);
        }
        running.await.unwrap();
        // Three rounds after the first, within 200 s.
        assert_eq!(cancelled, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_looked_for_once_an_hour_and_not_at_the_start() {
        let shop = shop().await;
        let janitor = Janitor::new(Arc::clone(&shop)).with_keys_after(Duration::ZERO);
        let running = tokio::spawn(async move {
            janitor.run(sleep(Duration::from_secs(8_000))).await;
        });
        let known = async || {
            let again = shop.checkout(cart().with_idempotency_key("key")).await;
            again.unwrap().replayed
        };
        // Known until the first look, which comes within an hour.
        assert!(!known().await);
        let mut minutes = 0;
        while known().await {
            sleep(Duration::from_secs(66)).await;
            minutes += 1;
        }
        assert!(minutes <= 57, "{minutes}");
        // The last answer made an order with that key again.
        sleep(Duration::from_secs(3_000)).await;
        assert!(known().await, "forgotten within the hour");
        sleep(Duration::from_secs(700)).await;
        assert!(!known().await, "known for longer than an hour");
        running.await.unwrap();
    }

    /// A process that is started again and again does not look for keys each time.
    #[tokio::test(start_paused = true)]
    async fn a_start_looks_for_no_keys() {
        let shop = shop().await;
        let mut forgotten = 0;
        for _ in 0..50 {
            let request = || cart().with_idempotency_key("key");
            let made = shop.checkout(request()).await.unwrap();
            let janitor = Janitor::new(Arc::clone(&shop)).with_keys_after(Duration::ZERO);
            janitor.run(async {}).await;
            forgotten += u32::from(!shop.checkout(request()).await.unwrap().replayed);
            shop.cancel(made.id, "test").await.unwrap();
            shop.cleanup_idempotency_keys(Duration::ZERO).await.unwrap();
            let unpaid = shop.cleanup_failed_orders(Duration::ZERO).await;
            unpaid.unwrap();
        }
        assert!(forgotten < 5, "{forgotten}");
    }

    #[tokio::test]
    async fn one_round_cleans_up_everything() {
        let shop = shop().await;
        let request = cart().with_idempotency_key("key");
        shop.checkout(request).await.unwrap();
        let janitor = Janitor::new(Arc::clone(&shop));
        assert_eq!(janitor.run_once().await.unwrap(), Cleaned::default());
        let janitor = janitor
            .with_unpaid_after(Duration::ZERO)
            .with_keys_after(Duration::ZERO);
        let done = janitor.run_once().await.unwrap();
        assert_eq!(
            (done.cleanup.orders, done.cleanup.units, done.keys),
            (1, 1, 1)
        );
    }
}
