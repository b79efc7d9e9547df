//! Checkouts.

use optilock::{
    Version,
    inventory::{Adjustment, Checkout, Inventory, Line},
};

use super::{
    failures::Failures,
    trial::{Trial, note},
};
use crate::support::goods::{cart, pesos, sku, units};

/// Runs them with each cause of further statements: a shortage, a conflict, a key, a replay, an expired hold.
pub async fn run(trial: &Trial<'_>, failures: &mut Failures) {
    let keyed = trial
        .single()
        .with_customer("ana")
        .with_idempotency_key("k");
    let same_key = trial
        .single()
        .with_customer("ana")
        .with_idempotency_key("k");
    let many = trial.both().with_customer("ana").with_idempotency_key("m");
    let expecting = |product: &str, at| {
        let line = Line::new(sku(product), units(1)).expecting_version(at);
        Checkout::new([line.expecting_price(pesos(1_000))]).unwrap()
    };
    note! { trial, failures;
        "checkout": trial.shop.checkout(trial.single());
        "checkout of two": trial.shop.checkout(trial.both());
        "checkout with a key": trial.shop.checkout(keyed.clone());
        "checkout again": trial.shop.checkout(keyed);
        "checkout with its key again": trial.shop.checkout(same_key);
        "checkout of two with a key": trial.shop.checkout(many.clone());
        "checkout of two again": trial.shop.checkout(many);
        "checkout of too many": trial.shop.checkout(cart(&[(&trial.one, 5_000)]));
        "checkout of two, too many": trial.shop.checkout(cart(&[(&trial.one, 5_000), (&trial.two, 1)]));
        "checkout at a version": trial.shop.checkout(expecting(&trial.one, trial.version(&trial.one).await));
        "checkout at another version": trial.shop.checkout(expecting(&trial.one, Version::FIRST));
        "checkout of a retired one": trial.shop.checkout(cart(&[(&trial.name("new"), 1)]));
    }
    behind_expired_holds(trial, failures).await;
    let checkouts = (0..40).map(|_| trial.shop.checkout(trial.both()));
    for answer in all_at_once(checkouts).await {
        failures.note(&format!("{}: concurrent checkouts", trial.label), answer);
    }
}

async fn behind_expired_holds(trial: &Trial<'_>, failures: &mut Failures) {
    for quantity in [1, 2] {
        trial.expired(&trial.one).await;
        let request = if quantity == 1 {
            trial.single()
        } else {
            trial.both()
        };
        failures.note(
            &format!("{}: checkout of what has expired, {quantity}", trial.label),
            trial.shop.checkout(request).await,
        );
        trial.direct.cleanup_reservations().await.unwrap();
    }
    trial.expired(&trial.one).await;
    note! { trial, failures;
        "checkout with a key of what has expired":
            trial.shop.checkout(trial.single().with_idempotency_key(trial.name("expired")));
        "adjust what has expired":
            trial.shop.adjust_stock(Adjustment::new(sku(&trial.one), -1, "x").unwrap());
    }
}

/// Polls all futures concurrently and returns their outputs.
async fn all_at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, answer) in &mut all {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *answer = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    all.into_iter().filter_map(|(_, answer)| answer).collect()
}
