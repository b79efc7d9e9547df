//! A request for a step of an order, and what the step must have changed.

use std::time::Duration;

use optilock::{
    RetryPolicy, Version,
    inventory::{Error, Inventory, Order, OrderStep, PgInventory, ReturnRequest},
    sqlx::{self, PgPool},
};

use uuid::Uuid;

use crate::{
    support::db::Db,
    support::goods::{add, cart, sku, units},
};

/// The steps of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Pay,
    Fail,
    Cancel,
    Revive,
    Return,
}

pub const STEPS: [Step; 5] = [
    Step::Pay,
    Step::Fail,
    Step::Cancel,
    Step::Revive,
    Step::Return,
];

/// A policy without retries.
pub const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// A policy with short delays.
pub const QUICK: RetryPolicy = RetryPolicy::new().with_base_delay(Duration::from_millis(1));

/// A request, which may be sent several times.
#[derive(Clone, Debug)]
pub struct Request {
    pub step: Step,
    pub order: Order,
    /// Whether the request expects the version of the order.
    pub pinned: bool,
    return_id: Uuid,
}

impl Request {
    /// Makes a request with an order in the state in which the step begins.
    pub async fn new(shop: &dyn Inventory, step: Step, pinned: bool) -> Self {
        let mut order = shop
            .checkout(cart(&[("mug", 1), ("pot", 2)]))
            .await
            .unwrap();
        if step == Step::Revive {
            order = shop.cancel(order.id, "gone").await.unwrap();
        }
        if step == Step::Return {
            order = shop.mark_paid(order.id).await.unwrap();
        }
        let return_id = Uuid::now_v7();
        Self {
            step,
            order,
            pinned,
            return_id,
        }
    }

    /// Sends the request.
    pub async fn send(&self, shop: &dyn Inventory) -> Result<Order, Error> {
        let (id, version) = (self.order.id, self.order.version);
        let step = match self.step {
            Step::Pay => OrderStep::mark_paid(id),
            Step::Fail => OrderStep::mark_payment_failed(id),
            Step::Cancel => OrderStep::cancel(id, "changed my mind"),
            Step::Revive => OrderStep::revive(id),
            Step::Return => {
                let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
                let back = back.with_id(self.return_id);
                return match self.pinned {
                    true => shop.return_items(back.expecting_version(version)).await,
                    false => shop.return_items(back).await,
                };
            }
        };
        match self.pinned {
            true => shop.step(step.expecting_version(version)).await,
            false => shop.step(step).await,
        }
    }

    /// Undoes the step as another caller, or changes the order further if the step cannot be undone.
    pub async fn undo(&self, shop: &dyn Inventory) {
        let id = self.order.id;
        match self.step {
            Step::Fail => {
                shop.cancel(id, "support").await.unwrap();
                shop.revive(id).await.unwrap();
            }
            Step::Cancel => drop(shop.revive(id).await.unwrap()),
            Step::Revive => drop(shop.cancel(id, "support").await.unwrap()),
            Step::Pay | Step::Return => {
                let back = ReturnRequest::new(id, [(sku("mug"), units(1))], "too small").unwrap();
                shop.return_items(back).await.unwrap();
            }
        }
    }

    /// Asserts that the answer agrees with the stored order, which only this step has changed.
    pub async fn assert_matches(
        &self,
        direct: &PgInventory,
        answer: &Result<Order, Error>,
        cell: &str,
    ) {
        let now = direct.order(self.order.id).await.unwrap();
        let steps = now.version.get() - self.order.version.get();
        let agrees = match answer {
            Ok(order) => {
                let mut order = order.clone();
                order.replayed = false;
                steps == 1 && order == now
            }
            Err(error) if error.is_unknown() => (0..=1).contains(&steps),
            Err(_) => steps == 0,
        };
        assert!(agrees, "{cell}: {answer:?}, and {now:?} is stored");
    }
}

/// Returns a database and an inventory with pots and mugs.
pub async fn shop() -> (Db, PgInventory) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9_000).await;
    add(&shop, "mug", 9_000).await;
    (db, shop)
}

/// Returns how many movements of this step the pots of the order have.
pub async fn movements(pool: &PgPool, request: &Request) -> i64 {
    let kind = match request.step {
        Step::Pay | Step::Fail => return 0,
        Step::Cancel => 2_i16,
        Step::Revive => 12,
        Step::Return => 11,
    };
    let count =
        "SELECT count(*) FROM optilock.movements WHERE order_id = $1 AND kind = $2 AND sku = 'pot'";
    sqlx::query_scalar(count)
        .bind(request.order.id.uuid())
        .bind(kind)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Returns true if the answer is a conflict of these two versions.
pub fn is_conflict(answer: &Result<Order, Error>, expected: i64, actual: i64) -> bool {
    let Err(error) = answer else { return false };
    error.conflict().is_some_and(|conflict| {
        error.exhausted().is_none()
            && conflict.entity == "order"
            && conflict.expected == Version::new(expected).unwrap()
            && conflict.actual == Version::new(actual).unwrap()
    })
}
