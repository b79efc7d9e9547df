//! Each operation by one caller, who meets no other: what the queue costs when nothing waits in it.

use std::time::{Duration, Instant};

use optilock::inventory::{
    Inventory, OrderId, PgInventory, Quantity, ReservationId, Reserve, ReturnRequest, Sku,
};

use super::{
    bench::Bench, comparison::Comparison, options::Options, seller::cart, table::Bars, turn::Turn,
};

const TITLE: &str = "one caller, through the queue / without";
const QUEUE: &str = "through the queue";
const WITHOUT: &str = "without";

#[derive(Clone, Copy)]
enum Operation {
    Checkout,
    Reserve,
    Release,
    Extend,
    CheckoutReserved,
    Pay,
    Cancel,
    Return,
}

impl Operation {
    const ALL: [Self; 8] = [
        Self::Checkout,
        Self::Reserve,
        Self::Release,
        Self::Extend,
        Self::CheckoutReserved,
        Self::Pay,
        Self::Cancel,
        Self::Return,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Extend => "extend",
            Self::CheckoutReserved => "checkout from a reservation",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::Return => "return",
        }
    }

    /// Runs the operation once on `measured` and returns its time. What it needs is made by `plain` before.
    async fn time(self, measured: &dyn Inventory, plain: &PgInventory, sku: &Sku) -> Duration {
        let one = [(sku.clone(), Quantity::ONE)];
        let reserve = || Reserve::new(one.clone()).expect("a valid reservation");
        let reserved = async || -> ReservationId {
            let reservation = plain.reserve(reserve()).await;
            reservation.expect("there is stock").id
        };
        let ordered = async || -> OrderId {
            let order = plain.checkout(cart(sku)).await;
            order.expect("there is stock").id
        };
        let (done, time) = match self {
            Self::Checkout => timed(measured.checkout(cart(sku))).await,
            Self::Reserve => timed(measured.reserve(reserve())).await,
            Self::Release => {
                let id = reserved().await;
                timed(measured.release(id)).await
            }
            Self::Extend => {
                let id = reserved().await;
                timed(measured.extend(id, Duration::from_secs(3_600))).await
            }
            Self::CheckoutReserved => {
                let request = cart(sku).with_reservation(reserved().await);
                timed(measured.checkout(request)).await
            }
            Self::Pay => {
                let id = ordered().await;
                timed(measured.mark_paid(id)).await
            }
            Self::Cancel => {
                let id = ordered().await;
                timed(measured.cancel(id, "refunded")).await
            }
            Self::Return => {
                let id = ordered().await;
                let paid = plain.mark_paid(id).await;
                paid.expect("the order is unpaid");
                let request = ReturnRequest::new(id, one.clone(), "broken");
                let request = request.expect("a valid request");
                timed(measured.return_items(request)).await
            }
        };
        assert!(done, "{} succeeds", self.name());
        time
    }
}

/// Returns whether the operation succeeded, and its time.
async fn timed<T, E>(operation: impl Future<Output = Result<T, E>>) -> (bool, Duration) {
    let start = Instant::now();
    let result = operation.await;
    (result.is_ok(), start.elapsed())
}

/// Measures all operations; those with and without the queue alternate one by one.
pub(super) fn measure(bench: &Bench, options: &Options) -> Bars {
    let sku = bench.product("pot");
    let mut bars = Bars::new(TITLE);
    let progress = options.progress(Operation::ALL.len() * options.rounds);
    for operation in Operation::ALL {
        let name = operation.name();
        let (mut queue, mut without) = (Vec::new(), Vec::new());
        for round in 1..=options.rounds {
            progress.set_message(format!("{name}, round {round} of {}", options.rounds));
            let round = alternate(bench, operation, &sku, options.window);
            let [through, direct] = bench.runtime.block_on(round);
            queue.push(through);
            without.push(direct);
            progress.inc(1);
        }
        let comparison = Comparison::new([(QUEUE, queue), (WITHOUT, without)]);
        bars.labelled(name, &comparison, QUEUE, WITHOUT, Some(0.95));
    }
    progress.finish_and_clear();
    bars
}

/// Returns the turns through the queue and without. Only the operation itself counts as elapsed.
async fn alternate(bench: &Bench, operation: Operation, sku: &Sku, window: Duration) -> [Turn; 2] {
    let start = Instant::now();
    let (mut queue, mut without) = (Vec::new(), Vec::new());
    while start.elapsed() < window || queue.is_empty() {
        // Which of them is first alternates as well.
        for through in [queue.len() % 2 == 0, queue.len() % 2 != 0] {
            let (measured, times): (&dyn Inventory, _) = if through {
                (&bench.batched, &mut queue)
            } else {
                (&bench.plain, &mut without)
            };
            times.push(operation.time(measured, &bench.plain, sku).await);
        }
    }
    [queue, without].map(|times| Turn::new(times.len() as u64, times.iter().sum(), times))
}
