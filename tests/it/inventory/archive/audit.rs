//! The audit finds what an archive did wrong.

use optilock::{
    inventory::{DiscrepancyKind as Kind, Inventory},
    sqlx::{self, AssertSqlSafe},
};

use super::{Ground, archive, everything};

/// A fault of an archive, and what the audit finds.
const FAULTS: [(&str, &[Kind]); 7] = [
    (
        "UPDATE optilock.movements SET delta = delta + 1 WHERE kind = 15 AND sku = 'pot'",
        &[Kind::Stock, Kind::RunningStock],
    ),
    (
        "UPDATE optilock.movements SET delta = delta + 1, stock_after = stock_after + 1
        WHERE kind = 15 AND sku = 'pot'",
        &[Kind::Stock, Kind::RunningStock],
    ),
    (
        "UPDATE optilock.movements SET version = version - 1 WHERE kind = 15 AND sku = 'pot'",
        &[Kind::Versions],
    ),
    (
        "DELETE FROM optilock.movements WHERE kind = 4",
        &[Kind::Versions],
    ),
    // An order that left although a movement of it is later.
    (
        "UPDATE optilock.orders SET archived_before = '2020-01-01' WHERE archived_before IS NOT NULL",
        &[Kind::Sold],
    ),
    // An order that left without its lines.
    (
        "INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT id, 'pot', 1, 0 FROM optilock.orders WHERE archived_before IS NOT NULL LIMIT 1",
        &[Kind::Sold, Kind::Lines],
    ),
    (
        "INSERT INTO optilock.holds (reservation_id, sku, quantity, held, state, expires_at)
        SELECT id, 'pot', 1, 0, 1, now() FROM optilock.reservations WHERE archived_before IS NOT NULL LIMIT 1",
        &[Kind::Holds],
    ),
];

#[tokio::test]
async fn each_fault_of_an_archive_is_found() {
    let ground = Ground::new().await;
    let shop = &ground.shop;
    // A sale of the mug stays above a reservation that is held, although its order leaves.
    let sold = crate::support::goods::cart(&[("mug", 1)]);
    let sold = shop.checkout(sold).await.unwrap();
    shop.mark_paid(sold.id).await.unwrap();
    archive(shop, everything(), 1_000).await;
    assert!(shop.audit().await.unwrap().is_clean());
    for (fault, kinds) in FAULTS {
        let mut tx = ground.db.pool.begin().await.unwrap();
        let made = sqlx::raw_sql(AssertSqlSafe(fault)).execute(&mut *tx);
        assert!(made.await.unwrap().rows_affected() > 0, "{fault}");
        let audit = shop.audit_in(&mut tx).await.unwrap();
        let mut found: Vec<Kind> = audit.discrepancies.iter().map(|it| it.kind).collect();
        found.dedup();
        assert_eq!(found, kinds, "{fault}\n{audit}");
        tx.rollback().await.unwrap();
    }
}
