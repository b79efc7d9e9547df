//! The report and its alerts.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        Checkout, Inventory, KpiKind, Line, MemoryInventory, PgInventory, Report, ReturnRequest,
        Strategy,
    },
    sqlx,
};

use crate::{
    support::db::{Db, drop_checks},
    support::goods::{add, cart, sku, units},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn value(report: &Report, kind: KpiKind) -> Option<f64> {
    let kpi = report.kpis.iter().find(|kpi| kpi.kind == kind);
    kpi.unwrap().value
}

/// Makes orders in each state, and one checkout that is refused with a conflict.
async fn sell(shop: &dyn Inventory) {
    add(shop, "jug", 1_000).await;
    add(shop, "mug", 1_000).await;
    add(shop, "pot", 1_000).await;
    let paid = shop
        .checkout(cart(&[("mug", 5), ("pot", 1)]))
        .await
        .unwrap();
    shop.mark_paid(paid.id).await.unwrap();
    let returned = ReturnRequest::new(paid.id, [(sku("mug"), units(2))], "chipped").unwrap();
    shop.return_items(returned).await.unwrap();
    shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    let cancelled = shop.checkout(cart(&[("jug", 9)])).await.unwrap();
    shop.cancel(cancelled.id, "changed my mind").await.unwrap();
    let failed = shop.checkout(cart(&[("jug", 1)])).await.unwrap();
    shop.mark_payment_failed(failed.id).await.unwrap();
    // The version that the caller expects has moved on. The buyer receives this conflict.
    let stale = shop.product(&sku("jug")).await.unwrap().version;
    shop.checkout(cart(&[("jug", 1)])).await.unwrap();
    let line = Line::new(sku("jug"), units(1)).expecting_version(stale);
    let stale = Checkout::new([line]).unwrap();
    assert!(shop.checkout(stale).await.unwrap_err().is_conflict());
}

/// Asserts the report of an inventory that begins empty.
async fn assert_report(shop: &dyn Inventory) {
    let nothing = shop.report(DAY).await.unwrap();
    let kinds = nothing.kpis.map(|kpi| kpi.kind);
    assert_eq!(kinds, KpiKind::ALL);
    let values = nothing.kpis.map(|kpi| kpi.value);
    assert_eq!(values, [Some(0.0), None, None, None, None]);
    assert_eq!(nothing.alerts().count(), 0);
    assert_eq!((nothing.window, nothing.unpaid_count), (DAY, 0));

    sell(shop).await;
    let report = shop.report(DAY).await.unwrap();
    let sold: Vec<_> = report
        .best_sellers
        .iter()
        .map(|seller| (seller.sku.as_str(), seller.units, seller.orders))
        .collect();
    assert_eq!(sold, [("mug", 3, 1), ("pot", 3, 2), ("jug", 2, 2)]);
    // One of five orders is cancelled, and the payment of another one failed.
    assert_eq!(value(&report, KpiKind::FailedOrders), Some(0.4));
    // One of six checkouts was refused with a conflict.
    assert_eq!(value(&report, KpiKind::ConflictRate), Some(1.0 / 6.0));
    assert_eq!(value(&report, KpiKind::MeanAttempts), Some(1.0));
    let seconds = value(&report, KpiKind::CheckoutSeconds).unwrap();
    assert!((0.0..5.0).contains(&seconds));
    let alerts: Vec<_> = report.alerts().map(|kpi| kpi.kind).collect();
    assert_eq!(alerts, [KpiKind::ConflictRate, KpiKind::FailedOrders]);
    assert!(report.covers > Duration::ZERO && report.covers < Duration::from_secs(600));
    // No unpaid order is half an hour old, and no product is contended.
    assert_eq!((report.unpaid.len(), report.unpaid_count), (0, 0));
    assert_eq!((report.contended, report.negative_stock), (vec![], vec![]));

    for _ in 0..100 {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    }
    let report = shop.report(DAY).await.unwrap();
    let contended: Vec<_> = report
        .contended
        .iter()
        .map(|product| (product.sku.as_str(), product.version.get()))
        .collect();
    assert_eq!(contended, [("pot", 103)]);
    // An empty window has no order.
    let instant = shop.report(Duration::ZERO).await.unwrap();
    assert_eq!(instant.best_sellers, []);
    assert_eq!(value(&instant, KpiKind::FailedOrders), None);
    // The longest window.
    let ever = shop.report(Duration::MAX).await.unwrap();
    assert_eq!(ever.best_sellers[0].sku, sku("pot"));
}

#[tokio::test]
async fn the_report_of_the_inventory_in_memory_counts_its_orders() {
    assert_report(&MemoryInventory::new()).await;
}

#[tokio::test]
async fn the_report_of_the_inventory_in_postgres_counts_its_orders() {
    let db = Db::new().await;
    assert_report(&PgInventory::new(db.pool.clone())).await;
}

#[tokio::test]
async fn a_conflict_that_a_retry_absorbed_counts_as_an_attempt_only() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Optimistic);
    add(&shop, "pot", 100).await;
    let mut buyers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let shop = shop.clone();
        buyers.spawn(async move { shop.checkout(cart(&[("pot", 1)])).await.unwrap() });
    }
    buyers.join_all().await;
    let report = shop.report(DAY).await.unwrap();
    let stats = shop.stats();
    // `add` and the report are calls with one attempt each.
    let attempts = value(&report, KpiKind::MeanAttempts).unwrap() * 50.0;
    assert_eq!(attempts.round() as u64, stats.attempts - (stats.calls - 50));
    assert!(attempts > 50.0);
    assert_eq!(value(&report, KpiKind::ConflictRate), Some(0.0));
}

/// Only other code, or time, can produce these rows.
#[tokio::test]
async fn the_report_names_negative_stock_and_old_unpaid_orders() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    add(&shop, "mug", 100).await;
    let mut orders = Vec::new();
    for _ in 0..25 {
        orders.push(shop.checkout(cart(&[("mug", 1)])).await.unwrap().id);
    }
    shop.mark_paid(orders[24]).await.unwrap();
    shop.mark_payment_failed(orders[23]).await.unwrap();
    drop_checks(&db.pool).await;
    sqlx::raw_sql(
        "UPDATE optilock.products SET stock = -1 WHERE sku = 'pot';
         UPDATE optilock.products SET reserved = 80 WHERE sku = 'mug';
         UPDATE optilock.orders SET pending_since = now() - interval '1 hour';
         INSERT INTO optilock.orders (id, status, total, currency) VALUES (gen_random_uuid(), 4, 0, 'XXX');
         UPDATE optilock.orders SET created_at = now() - interval '2 days' WHERE id = (
             SELECT id FROM optilock.orders WHERE status = 0 ORDER BY id LIMIT 1)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let report = shop.report_in(&mut conn, DAY).await.unwrap();
    let negative: Vec<_> = report
        .negative_stock
        .iter()
        .map(|row| (row.sku.as_str(), row.stock, row.reserved))
        .collect();
    assert_eq!(negative, [("mug", 75, 80), ("pot", -1, 0)]);
    assert_eq!(value(&report, KpiKind::NegativeStock), Some(2.0));
    assert!(
        report
            .alerts()
            .any(|kpi| kpi.kind == KpiKind::NegativeStock)
    );
    assert_eq!((report.unpaid.len(), report.unpaid_count), (20, 24));
    assert!(orders.contains(&report.unpaid[0].id));
    // One of 24 orders of that day failed. The void order does not count.
    assert_eq!(value(&report, KpiKind::FailedOrders), Some(1.0 / 24.0));
    let age = report.made_at - report.unpaid[0].since;
    assert!((3_600..3_700).contains(&age.num_seconds()));
    assert_eq!(
        (report.best_sellers[0].units, report.best_sellers[0].orders),
        (24, 24)
    );
    assert_eq!(Report::CONTENDED_ABOVE, Version::new(100).unwrap());
}
