//! Triggers that swallow a write of an operation or alter it. The operation fails and names the table.

mod cells;

use std::time::Duration;

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BatchOptions, BatchedInventory, BoxError, ErrorKind, Inventory, OnAccepted,
        PgInventory, ReservationId, Reserve, Strategy,
    },
    postgres::transact,
    sqlx::{self, PgConnection},
};

use cells::{
    Operation::{self, Batch, Expiring, Extend, FromReservation, Many, One, Release},
    run, stored, writes,
};

use crate::{
    support::db::{Db, assert_balanced, order_count},
    support::goods::{add, cart, sku, units},
    support::triggers::{add_trigger, drop_trigger, run as run_sql},
};

/// Returns an inventory with a live reservation and an expired one.
async fn shop_with_reservations() -> (Db, PgInventory, ReservationId) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for (name, count) in [("dish", 3), ("mug", 100), ("pot", 100)] {
        add(&shop, name, count).await;
    }
    let lines = [(sku("mug"), units(2)), (sku("pot"), units(3))];
    let held = shop.reserve(Reserve::new(lines).unwrap()).await.unwrap();
    let lines = [(sku("dish"), units(3))];
    let expired = Reserve::new(lines).unwrap();
    let expired = expired.for_duration(Duration::from_micros(1));
    shop.reserve(expired).await.unwrap();
    (db, shop, held.id)
}

#[tokio::test]
async fn an_operation_fails_if_a_trigger_swallows_or_alters_one_of_its_writes() {
    let cells = count_cells(false).await;
    println!("{cells} cells");
    assert!(cells > 80);
}

#[tokio::test]
async fn so_does_an_operation_that_also_writes_the_outbox() {
    let cells = count_cells(true).await;
    println!("{cells} cells");
    assert!(cells > 100);
}

/// Runs each operation with each fault of each of its writes, and returns their number.
async fn count_cells(outbox: bool) -> u32 {
    let mut cells = 0;
    for operation in [
        One(Strategy::Guarded),
        One(Strategy::Optimistic),
        Many(Strategy::Guarded),
        Many(Strategy::Pessimistic),
        Batch,
        FromReservation,
        Operation::Reserve,
        Extend,
        Release,
        Expiring,
    ] {
        let (db, shop, held) = shop_with_reservations().await;
        let shop = if outbox { shop.with_outbox() } else { shop };
        for (table, event, fault) in writes(operation, outbox) {
            add_trigger(&db.pool, table, event, &fault.body(), "").await;
            // Without the check of the table, only the statement can find the altered row.
            run_sql(
                &db.pool,
                "ALTER TABLE optilock.holds DROP CONSTRAINT IF EXISTS holds_held_check",
            )
            .await;
            let before = stored(&db.pool).await;
            let answer = run(&shop, operation, held).await;
            let cell = format!("{operation:?}: {event} of {table}, {fault:?}");
            match answer {
                Err(error) if error.kind() == ErrorKind::Suppressed => {
                    let named = error.table();
                    assert_eq!(named, Some(&*table.to_string()), "{cell}");
                }
                other => panic!("{cell}: {other:?}"),
            }
            drop_trigger(&db.pool).await;
            assert_eq!(stored(&db.pool).await, before, "{cell}");
            cells += 1;
        }
        run(&shop, operation, held).await.unwrap();
        assert_balanced(&db.pool).await;
    }
    cells
}

#[tokio::test]
async fn only_the_suppressed_checkout_of_a_batch_fails() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "mug", 100).await;
    add(&shop, "pot", 100).await;
    let body = "IF NEW.customer = 'eva' THEN NEW.total := 7; END IF; RETURN NEW;";
    add_trigger(&db.pool, "orders", "INSERT", body, "").await;
    let batched = BatchedInventory::new(shop, BatchOptions::new().always());
    let mut buyers = tokio::task::JoinSet::new();
    for number in 0..20 {
        let batched = batched.clone();
        buyers.spawn(async move {
            let request = cart(&[("mug", 1), ("pot", 2)]);
            let name = if number == 11 { "eva" } else { "ana" };
            batched.checkout(request.with_customer(name)).await
        });
    }
    let answers = buyers.join_all().await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .map(|error| (error.kind(), error.table()))
        .collect();
    assert_eq!(
        refused,
        [(ErrorKind::Suppressed, Some("orders"))],
        "{answers:?}"
    );
    assert_eq!(order_count(&db.pool).await, 19);
    assert_balanced(&db.pool).await;
}

/// Ignores the error of a failed statement and returns success.
struct IgnoresError;

#[async_trait]
impl OnAccepted for IgnoresError {
    async fn on_accepted(&self, conn: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        let _ignored = sqlx::query("SELECT 1 / 0").execute(conn).await;
        Ok(())
    }
}

/// The earlier and the later checkout of the same transaction are stored.
#[tokio::test]
async fn a_hook_that_ignores_an_error_loses_only_its_checkout() {
    let db = Db::new().await;
    let plain = PgInventory::new(db.pool.clone());
    add(&plain, "pot", 10).await;
    let hooked = plain.clone().with_hook(std::sync::Arc::new(IgnoresError));
    let (first, last) = (cart(&[("pot", 1)]), cart(&[("pot", 1)]));
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        plain.checkout_in(tx, &first).await?;
        let refused = hooked
            .checkout_in(tx, &cart(&[("pot", 2)]))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Hook, "{refused:?}");
        let source = std::error::Error::source(&refused).unwrap().to_string();
        assert!(source.contains("ignored an error"), "{source}");
        plain.checkout_in(tx, &last).await
    })
    .await
    .unwrap();
    assert_eq!(order_count(&db.pool).await, 2);
    plain.order(first.order_id()).await.unwrap();
    assert_balanced(&db.pool).await;
}
