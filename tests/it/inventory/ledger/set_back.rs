//! A product whose version other code set back.

use optilock::{
    Class, Classify, Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, Inventory, OrderId, PgInventory,
        ReservationId, Reserve,
    },
};

use crate::{
    support::goods::{add, cart, sku, stock, units},
    support::strategies::STRATEGIES,
    support::triggers::run,
    support::{
        SHUTDOWN,
        db::{Db, assert_balanced},
    },
};

/// What the refused operations refer to.
struct Subjects {
    /// The version that other code set.
    previous: Version,
    held: ReservationId,
    order: OrderId,
}

fn reserve() -> Reserve {
    Reserve::new([(sku("pot"), units(1))]).unwrap()
}

/// Runs every operation that changes a product and returns its error.
async fn refusals(inner: &PgInventory, subjects: Subjects) -> Vec<(&'static str, Error)> {
    let mut refused: Vec<(&str, Error)> = Vec::new();
    for strategy in STRATEGIES {
        let shop = inner.clone().with_strategy(strategy);
        let answer = shop.checkout(cart(&[("pot", 1)])).await;
        refused.push(("checkout", answer.unwrap_err()));
    }
    let batches = BatchedInventory::new(inner.clone(), BatchOptions::new().always());
    refused.push((
        "batch",
        batches.checkout(cart(&[("pot", 1)])).await.unwrap_err(),
    ));
    batches.shutdown(SHUTDOWN).await.unwrap();
    let pot = sku("pot");
    let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    refused.push(("adjust", inner.adjust_stock(more).await.unwrap_err()));
    let count = inner.count_stock(&pot, subjects.previous, stock(7), "counted");
    refused.push(("count", count.await.unwrap_err()));
    let product = inner.product(&pot).await.unwrap();
    refused.push(("edit", inner.update_product(&product).await.unwrap_err()));
    refused.push(("pause", inner.pause(&pot).await.unwrap_err()));
    refused.push((
        "retire",
        inner
            .retire_product(&pot, subjects.previous)
            .await
            .unwrap_err(),
    ));
    refused.push(("reserve", inner.reserve(reserve()).await.unwrap_err()));
    refused.push(("release", inner.release(subjects.held).await.unwrap_err()));
    refused.push((
        "cancel",
        inner.cancel(subjects.order, "x").await.unwrap_err(),
    ));
    refused
}

/// The ledger already has a movement of the next version, so a retry cannot succeed.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_refused_if_other_code_set_the_version_back() {
    let db = Db::new().await;
    let inner = PgInventory::new(db.pool.clone());
    add(&inner, "pot", 50).await;
    let order = inner.checkout(cart(&[("pot", 1)])).await.unwrap();
    let held = inner.reserve(reserve()).await.unwrap();
    let version = inner.product(&sku("pot")).await.unwrap().version;
    run(
        &db.pool,
        "UPDATE optilock.products SET version = version - 1",
    )
    .await;
    let product = inner.product(&sku("pot")).await.unwrap();
    let subjects = Subjects {
        previous: Version::new(version.get() - 1).unwrap(),
        held: held.id,
        order: order.id,
    };
    let refused = refusals(&inner, subjects).await;
    for (operation, error) in &refused {
        assert_eq!(error.code(), "version-set-back", "{operation}: {error:?}");
        assert_eq!(
            (error.class(), error.http_status()),
            (Class::Permanent, 500)
        );
        assert!(error.to_string().contains("run audit"), "{error}");
    }
    assert_eq!(
        inner.product(&product.sku).await.unwrap(),
        product,
        "nothing changed"
    );
    let found = inner.audit().await.unwrap();
    assert!(
        found
            .to_string()
            .contains("versions: pot: expected 2, found 3"),
        "{found}"
    );
    run(
        &db.pool,
        "UPDATE optilock.products p SET version = (SELECT max(version) FROM optilock.movements m WHERE m.sku = p.sku)",
    )
    .await;
    inner.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_balanced(&db.pool).await;
}
