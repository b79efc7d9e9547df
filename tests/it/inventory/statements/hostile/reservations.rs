//! Reservations and clean-ups.

use std::time::Duration;

use optilock::inventory::{Inventory, Reserve};

use super::{
    failures::Failures,
    trial::{Trial, note},
};
use crate::support::goods::{cart, sku, units};

/// Runs them with expired and released reservations.
pub async fn run(trial: &Trial<'_>, failures: &mut Failures) {
    let lines = |quantity| {
        [
            (sku(&trial.one), units(quantity)),
            (sku(&trial.two), units(1)),
        ]
    };
    let held = Reserve::new(lines(2)).unwrap().with_customer("ana");
    let held = held.with_idempotency_key(trial.name("held"));
    note! { trial, failures;
        "reserve": trial.shop.reserve(held.clone());
        "reserve again": trial.shop.reserve(held);
        "reserve too many": trial.shop.reserve(Reserve::new(lines(50_000)).unwrap());
    }
    let held = trial
        .direct
        .reserve(Reserve::new(lines(2)).unwrap())
        .await
        .unwrap()
        .id;
    let other = trial
        .direct
        .reserve(Reserve::new(lines(2)).unwrap())
        .await
        .unwrap()
        .id;
    note! { trial, failures;
        "reservation": trial.shop.reservation(held);
        "extend": trial.shop.extend(held, Duration::from_secs(7_200));
        "checkout of some that is held": trial.shop.checkout(trial.both().with_reservation(held));
        "checkout of more than is held": trial.shop.checkout(cart(&[(&trial.one, 5)]).with_reservation(held));
        "checkout of it again": trial.shop.checkout(trial.both().with_reservation(held));
        "release": trial.shop.release(other);
        "release again": trial.shop.release(other);
        "extend what is released": trial.shop.extend(other, Duration::from_secs(7_200));
    }
    trial.expired(&trial.one).await;
    note! { trial, failures;
        "reserve what has expired": trial.shop.reserve(Reserve::new(lines(2)).unwrap());
    }
    let held = trial.expired(&trial.one).await;
    note! { trial, failures;
        "checkout of what was held": trial.shop.checkout(trial.single().with_reservation(held));
        "cleanup of reservations": trial.shop.cleanup_reservations();
        "cleanup of orders": trial.shop.cleanup_failed_orders(Duration::ZERO);
        "cleanup of keys": trial.shop.cleanup_idempotency_keys(Duration::ZERO);
        "report at the end": trial.shop.report(Duration::from_secs(60));
        "audit at the end": trial.shop.audit();
    }
}
