//! Cleanup of rows whose change the database refuses.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use uuid::Uuid;

use super::{OLD, add_expired_holds, add_unpaid_orders, due_orders};
use crate::{
    support::bank::until_waiting,
    support::db::{Db, assert_balanced},
    support::goods::{add, stock_of},
    support::triggers::{KEEP, SWALLOW, add_trigger, run},
};

/// A constraint that refuses to return a unit of `p0` to the stock.
const FULL: &str = "ALTER TABLE optilock.products ADD CONSTRAINT mine
    CHECK (sku <> 'p0' OR stock < 1000000)";

/// The warnings of a cleanup, as text.
#[derive(Clone, Debug, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        if event.metadata().target() == "optilock::cleanup"
            && *event.metadata().level() == Level::WARN
        {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

/// A trigger raises an error, drops the write or keeps the old row, or a constraint refuses the row: for one
/// order of 3,000.
#[tokio::test(flavor = "multi_thread")]
async fn one_refused_order_is_skipped_and_named() {
    for body in [
        None,
        Some("RAISE EXCEPTION 'no';"),
        Some(SWALLOW),
        Some(KEEP),
    ] {
        let db = Db::new().await;
        add_unpaid_orders(&db.pool, 3_000, 1_000, 1).await;
        match body {
            None => run(&db.pool, FULL).await,
            Some(body) => {
                let when = "WHEN (OLD.sku = 'p0')";
                add_trigger(&db.pool, "products", "UPDATE", body, when).await;
            }
        }
        let shop = PgInventory::new(db.pool.clone());
        let warnings = Warnings::default();
        let subscriber = tracing_subscriber::registry().with(warnings.clone());
        let done = shop
            .cleanup_failed_orders(OLD)
            .with_subscriber(subscriber)
            .await;
        let done = done.unwrap();
        assert_eq!(
            (done.orders, done.refused, done.skipped),
            (2_999, 1, 0),
            "{body:?}"
        );
        let refused: Uuid = sqlx::query_scalar("SELECT id FROM public.made WHERE n = 0")
            .fetch_one(&db.pool)
            .await
            .unwrap();
        let warnings = warnings.0.lock().unwrap().clone();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains(&format!("id={refused}")),
            "{warnings:?}"
        );
        assert_eq!(stock_of(&shop, "p0").await, 999_999);
        assert_balanced(&db.pool).await;
    }
}

#[test]
fn a_refused_order_is_counted_by_a_metric() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let db = Db::new().await;
            add_unpaid_orders(&db.pool, 10, 5, 1).await;
            run(&db.pool, FULL).await;
            let shop = PgInventory::new(db.pool.clone());
            let done = shop.cleanup_failed_orders(OLD).await.unwrap();
            assert_eq!((done.orders, done.refused), (9, 1));
        });
    });
    let counted = snapshotter.snapshot().into_vec();
    let refused = counted.into_iter().find(|(key, ..)| {
        key.key().name() == optilock::metrics::CLEANUP_REFUSED
            && key.key().labels().any(|label| label.value() == "orders")
    });
    assert!(
        matches!(refused, Some((.., DebugValue::Counter(1)))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_ends_and_counts_the_orders_if_all_are_refused() {
    let db = Db::new().await;
    add_unpaid_orders(&db.pool, 1_000, 100, 1).await;
    add_trigger(&db.pool, "orders", "UPDATE", SWALLOW, "").await;
    let shop = PgInventory::new(db.pool.clone());
    let done = shop.cleanup_failed_orders(OLD).await.unwrap();
    assert_eq!((done.orders, done.units, done.refused), (0, 0, 1_000));
    assert_eq!(due_orders(&db.pool).await, 1_000);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_one_product_keeps_the_holds_of_no_other() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["pot", "mug", "jug"] {
        add(&shop, name, 1_000).await;
        add_expired_holds(&db.pool, name, 1_000).await;
    }
    run(&db.pool, "ALTER TABLE optilock.products ADD CONSTRAINT mine CHECK (sku <> 'mug' OR reserved >= 1000)").await;
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let done = shop
        .cleanup_reservations()
        .with_subscriber(subscriber)
        .await
        .unwrap();
    assert_eq!((done.holds, done.units, done.refused), (2_000, 2_000, 1));
    let warnings = warnings.0.lock().unwrap().clone();
    assert!(
        warnings.len() == 1 && warnings[0].contains("id=mug"),
        "{warnings:?}"
    );
    let mut holder = db.pool.begin().await.unwrap();
    run(
        &db.pool,
        "ALTER TABLE optilock.products DROP CONSTRAINT mine",
    )
    .await;
    // While the product is locked, the cleanup skips it. After the release, the same call ends its holds.
    let lock = "SELECT sku FROM optilock.products WHERE sku = 'mug' FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let (done, ()) = tokio::join!(shop.cleanup_reservations(), async {
        until_waiting(&db.pool).await;
        holder.rollback().await.unwrap();
    });
    let done = done.unwrap();
    assert_eq!((done.holds, done.skipped, done.refused), (1_000, 0, 0));
    assert_balanced(&db.pool).await;
}
