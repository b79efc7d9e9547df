//! Steps of orders.

use optilock::inventory::{Adjustment, Inventory, OrderFilter, OrderId, Page, ReturnRequest};

use super::{
    failures::Failures,
    trial::{Trial, note},
};
use crate::support::goods::{sku, units};

async fn cancelled_order(trial: &Trial<'_>) -> OrderId {
    let order = trial.direct.checkout(trial.both()).await.unwrap();
    trial.direct.cancel(order.id, "x").await.unwrap().id
}

/// Runs every step, with a replay and a refusal each where it has one.
pub async fn run(trial: &Trial<'_>, failures: &mut Failures) {
    let order = async || -> OrderId { trial.direct.checkout(trial.both()).await.unwrap().id };
    let (unpaid, doomed, paid) = (order().await, order().await, order().await);
    trial.direct.mark_paid(paid).await.unwrap();
    let cancelled = cancelled_order(trial).await;
    let back = ReturnRequest::new(paid, [(sku(&trial.one), units(1))], "x").unwrap();
    let too_many = ReturnRequest::new(paid, [(sku(&trial.one), units(7))], "x").unwrap();
    note! { trial, failures;
        "order": trial.shop.order(unpaid);
        "no order": trial.shop.order(OrderId::new());
        "orders": trial.shop.orders(OrderFilter::all(), Page::first(5));
        "orders after": trial.shop.orders(OrderFilter::all(), Page::after(unpaid, 5));
        "payment failed": trial.shop.mark_payment_failed(unpaid);
        "payment failed again": trial.shop.mark_payment_failed(unpaid);
        "paid": trial.shop.mark_paid(unpaid);
        "paid again": trial.shop.mark_paid(unpaid);
        "cancel": trial.shop.cancel(doomed, "x");
        "cancel again": trial.shop.cancel(doomed, "x");
        "cancel a paid one": trial.shop.cancel(paid, "x");
        "return": trial.shop.return_items(back.clone());
        "return again": trial.shop.return_items(back);
        "return too many": trial.shop.return_items(too_many);
        "revive": trial.shop.revive(cancelled);
        "revive again": trial.shop.revive(cancelled);
    }
    revive_without_stock(trial, failures).await;
}

async fn revive_without_stock(trial: &Trial<'_>, failures: &mut Failures) {
    let cancelled = cancelled_order(trial).await;
    trial.expired(&trial.one).await;
    note! { trial, failures;
        "revive of what has expired": trial.shop.revive(cancelled);
    }
    trial.direct.cleanup_reservations().await.unwrap();
    let cancelled = cancelled_order(trial).await;
    let all = trial
        .direct
        .product(&sku(&trial.one))
        .await
        .unwrap()
        .available();
    let taken = Adjustment::new(sku(&trial.one), 1 - all, "x").unwrap();
    trial.direct.adjust_stock(taken).await.unwrap();
    let last = trial.direct.checkout(trial.single()).await.unwrap().id;
    note! { trial, failures;
        "revive of what is gone": trial.shop.revive(cancelled);
        "cancel the last": trial.shop.cancel(last, "x");
        "adjust by much": trial.shop.adjust_stock(Adjustment::new(sku(&trial.one), 900, "x").unwrap());
    }
}
