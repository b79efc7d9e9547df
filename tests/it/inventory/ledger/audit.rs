//! The audit finds each kind of discrepancy.

use std::time::Duration;

use optilock::{
    inventory::{
        Audit, AuditPosition, DiscrepancyKind as Kind, Inventory, MemoryInventory, PgInventory,
        Reserve, ReturnRequest,
    },
    sqlx::{self, AssertSqlSafe, PgConnection, PgPool},
};

use crate::{
    support::db::Db,
    support::goods::{add, cart, sku, units},
    support::triggers::run,
};

/// Creates a shop with an order, a return, a reservation or a movement of every kind.
async fn shop() -> (Db, PgInventory) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    add(&shop, "mug", 50).await;
    let lines = [("pot", 2), ("mug", 1)];
    let paid = shop.checkout(cart(&lines)).await.unwrap();
    shop.mark_paid(paid.id).await.unwrap();
    let back = ReturnRequest::new(paid.id, [(sku("pot"), units(1))], "broken").unwrap();
    shop.return_items(back).await.unwrap();
    let cancelled = shop.checkout(cart(&lines)).await.unwrap();
    shop.cancel(cancelled.id, "test").await.unwrap();
    let revived = shop.checkout(cart(&lines)).await.unwrap();
    shop.cancel(revived.id, "test").await.unwrap();
    shop.revive(revived.id).await.unwrap();
    for end in 0..3 {
        let held = Reserve::new([(sku("pot"), units(2))]).unwrap();
        let held = held.for_duration(Duration::from_secs(600));
        let held = shop.reserve(held).await.unwrap();
        match end {
            0 => shop.release(held.id).await.unwrap(),
            1 => {
                let buy = cart(&[("pot", 2)]).with_reservation(held.id);
                shop.checkout(buy).await.map(drop).unwrap();
            }
            _ => {}
        }
    }
    (db, shop)
}

#[tokio::test]
async fn an_untouched_shop_has_no_discrepancy() {
    let (_db, shop) = shop().await;
    let audit = shop.audit().await.unwrap();
    assert_eq!(audit.to_string(), "no discrepancies");
    let memory = MemoryInventory::new();
    add(&memory, "pot", 5).await;
    memory.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert!(memory.audit().await.unwrap().is_clean());
    assert_eq!(Audit::default(), memory.audit().await.unwrap());
}

/// A change of the tables, the kinds of discrepancy that the audit finds, and one line of its report.
const CASES: [(&str, &[Kind], &str); 19] = [
    (
        "UPDATE optilock.products SET stock = stock + 1 WHERE sku = 'pot'",
        &[Kind::Stock],
        "stock: pot: expected 45, found 46",
    ),
    (
        "UPDATE optilock.products SET version = version + 1 WHERE sku = 'mug'",
        &[Kind::Versions],
        "versions: mug: expected 8, found 7",
    ),
    (
        "DELETE FROM optilock.movements WHERE sku = 'pot' AND kind = 4 AND version = 9",
        &[Kind::Versions],
        "versions: pot: expected",
    ),
    (
        "UPDATE optilock.movements SET stock_after = stock_after + 1 WHERE sku = 'mug' AND version = 2",
        &[Kind::RunningStock, Kind::RunningStock],
        "running-stock: mug version 2: expected 49, found 50",
    ),
    (
        "UPDATE optilock.products SET reserved = reserved + 1 WHERE sku = 'pot'",
        &[Kind::Reserved],
        "reserved: pot: expected 2, found 3",
    ),
    (
        "UPDATE optilock.holds SET state = 2 WHERE state = 0",
        &[Kind::Reserved, Kind::Remaining],
        "reserved: pot: expected 0, found 2",
    ),
    (
        "UPDATE optilock.products SET reserved = 90 WHERE sku = 'mug'",
        &[Kind::Reserved, Kind::Bounds],
        "bounds: mug: expected 48, found 90",
    ),
    (
        "UPDATE optilock.orders SET status = 3 WHERE status = 2",
        &[Kind::Sold, Kind::Sold],
        " mug: expected 0, found 1",
    ),
    (
        "UPDATE optilock.orders SET status = 0 WHERE status = 3",
        &[Kind::Sold, Kind::Sold],
        " pot: expected 2, found 0",
    ),
    (
        "UPDATE optilock.order_lines SET quantity = 3, price = 0 WHERE sku = 'mug' AND order_id = (
             SELECT id FROM optilock.orders WHERE status = 3)",
        &[Kind::Total],
        "expected 2000, found 3000",
    ),
    (
        "UPDATE optilock.order_lines SET returned = returned + 1 WHERE returned > 0",
        &[Kind::Returned],
        " pot: expected 2, found 1",
    ),
    (
        "DELETE FROM optilock.orders WHERE status = 2",
        &[Kind::Lines],
        "expected 0, found 2",
    ),
    (
        "INSERT INTO optilock.orders (id, total, currency) VALUES (gen_random_uuid(), 0, 'MXN')",
        &[Kind::Lines],
        "expected 1, found 0",
    ),
    (
        "DELETE FROM optilock.reservations WHERE id IN (SELECT reservation_id FROM optilock.holds WHERE state = 2)",
        &[Kind::Holds],
        "expected 0, found 1",
    ),
    (
        "UPDATE optilock.holds SET state = 3 WHERE state = 1",
        &[Kind::HoldState],
        " pot: expected 1, found 0",
    ),
    (
        "UPDATE optilock.reservations SET remaining = 3 WHERE remaining = 2",
        &[Kind::Remaining],
        ": expected 2, found 3",
    ),
    (
        "UPDATE optilock.movements SET order_id = NULL WHERE sku = 'mug' AND version = 2",
        &[Kind::Sold, Kind::Sold],
        "sold: no order mug: expected 0, found 1",
    ),
    (
        "UPDATE optilock.movements SET order_id = NULL WHERE kind = 11",
        &[Kind::Returned, Kind::Returned],
        "returned: no order pot: expected 0, found 1",
    ),
    // The sums exceed an i64.
    (
        "UPDATE optilock.movements SET delta = 9223372036854775807 WHERE sku = 'mug' AND version IN (2, 3)",
        &[
            Kind::Stock,
            Kind::RunningStock,
            Kind::RunningStock,
            Kind::Sold,
            Kind::Sold,
        ],
        "stock: mug: expected 9223372036854775807, found 48",
    ),
];

#[tokio::test]
async fn each_discrepancy_is_named() {
    let (db, shop) = shop().await;
    // The constraint would refuse some of the changes.
    let checks = "ALTER TABLE optilock.products DROP CONSTRAINT products_check";
    sqlx::query(checks).execute(&db.pool).await.unwrap();
    let mut seen = Vec::new();
    for (change, kinds, line) in CASES {
        let mut transaction = db.pool.begin().await.unwrap();
        let changed = sqlx::query(AssertSqlSafe(change)).execute(&mut *transaction);
        assert!(changed.await.unwrap().rows_affected() > 0, "{change}");
        let audit = shop.audit_in(&mut transaction).await.unwrap();
        for limit in [1, 2, 7] {
            let ranges = in_ranges(&shop, &mut transaction, limit).await;
            assert_eq!(ranges, audit, "{change}, by {limit} rows\n{ranges}");
        }
        transaction.rollback().await.unwrap();
        let found: Vec<Kind> = audit.discrepancies.iter().map(|it| it.kind).collect();
        assert_eq!(found, kinds, "{change}\n{audit}");
        assert!(audit.to_string().contains(line), "{change}\n{audit}");
        seen.extend(found);
    }
    assert!(Kind::ALL.iter().all(|kind| seen.contains(kind)), "{seen:?}");
}

/// Audits in ranges of `limit` rows, with each position stored as text.
async fn in_ranges(shop: &PgInventory, conn: &mut PgConnection, limit: u32) -> Audit {
    let mut found = Vec::new();
    let mut position = Some(AuditPosition::START.to_string());
    while let Some(from) = position {
        let from = from.parse().unwrap();
        let range = shop.audit_range_in(conn, &from, limit).await.unwrap();
        found.extend(range.discrepancies);
        position = range.next.map(|next| next.to_string());
        assert_ne!(position, Some(from.to_string()), "it advances");
    }
    found.sort_by_key(|it| (it.kind, it.subject.clone()));
    // A range has no discrepancy of the ranges before it, except of movements without an order.
    found.dedup_by_key(|it| (it.kind, it.subject.clone()));
    Audit::new(found)
}

/// Products without a movement, movements without a product, and versions that no sale writes.
#[tokio::test]
async fn a_range_ends_at_any_row() {
    let (db, shop) = shop().await;
    let odd = "INSERT INTO optilock.products (sku, name, price, currency, stock)
            SELECT 'a' || n, 'A', 1, 'MXN', 0 FROM generate_series(1, 20) AS n;
        INSERT INTO optilock.products (sku, name, price, currency, stock) VALUES ('z', 'Z', 1, 'MXN', 0);
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            SELECT 'b' || n, n, 3, 1, 1 FROM generate_series(1, 20) AS n;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            VALUES ('pot', 0, 3, 0, 0), ('pot', -1, 3, 0, 0), ('mug', -9223372036854775808, 3, 0, 0)";
    run(&db.pool, odd).await;
    let whole = shop.audit().await.unwrap();
    let versions = whole
        .discrepancies
        .iter()
        .filter(|it| it.kind == Kind::Versions);
    assert_eq!(versions.count(), 20 + 1 + 20 + 2, "{whole}");
    let mut conn = db.pool.acquire().await.unwrap();
    for limit in [1, 2, 3, 5, 19, 20, 21, 100_000] {
        let ranges = in_ranges(&shop, &mut conn, limit).await;
        assert_eq!(ranges, whole, "by {limit} rows\n{ranges}\n{whole}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_sells_between_the_ranges() {
    let (_db, shop) = shop().await;
    let (mut position, mut ranges) = (Some(AuditPosition::START), 0);
    while let Some(from) = position {
        let range = shop.audit_range(&from, 3).await.unwrap();
        assert_eq!(range.discrepancies, [], "{from}");
        if ranges < 20 {
            let sold = shop
                .checkout(cart(&[("mug", 1), ("pot", 1)]))
                .await
                .unwrap();
            shop.cancel(sold.id, "test").await.unwrap();
        }
        (position, ranges) = (range.next, ranges + 1);
    }
    assert!(ranges > 30, "{ranges}");
}

/// An opening balance stands for the versions before it, and for nothing else.
#[tokio::test]
async fn a_ledger_may_begin_with_an_opening_balance() {
    let (db, shop) = shop().await;
    let close = "DELETE FROM optilock.movements WHERE sku = 'pot' AND version < 3;
        UPDATE optilock.movements SET kind = 15, delta = stock_after, order_id = NULL, reservation_id = NULL
        WHERE sku = 'pot' AND version = 3";
    let faults: [(&str, &[Kind]); 5] = [
        // A wrong balance.
        (
            "UPDATE optilock.movements SET delta = delta + 1 WHERE sku = 'pot' AND version = 3",
            &[Kind::Stock, Kind::RunningStock],
        ),
        (
            "UPDATE optilock.movements SET delta = delta + 1, stock_after = stock_after + 1
            WHERE sku = 'pot' AND version = 3",
            &[Kind::Stock, Kind::RunningStock],
        ),
        // A movement missing above it.
        (
            "DELETE FROM optilock.movements WHERE sku = 'pot' AND version = 4",
            &[Kind::Stock, Kind::Versions, Kind::RunningStock],
        ),
        // A movement below it.
        (
            "INSERT INTO optilock.movements (sku, version, kind, delta, stock_after) VALUES ('pot', 1, 8, 50, 50)",
            &[Kind::Stock, Kind::Versions, Kind::RunningStock],
        ),
        // A first movement that is no opening balance.
        (
            "UPDATE optilock.movements SET kind = 3 WHERE sku = 'pot' AND version = 3",
            &[Kind::Versions],
        ),
    ];
    let mut transaction = db.pool.begin().await.unwrap();
    sqlx::raw_sql(close)
        .execute(&mut *transaction)
        .await
        .unwrap();
    // The orders whose movements are gone.
    let orders = |audit: &Audit| {
        let kinds = audit.discrepancies.iter().map(|it| it.kind);
        let mut kinds: Vec<Kind> = kinds.filter(|kind| *kind < Kind::Sold).collect();
        kinds.dedup();
        kinds
    };
    let audit = shop.audit_in(&mut transaction).await.unwrap();
    assert_eq!(orders(&audit), [], "{audit}");
    for (fault, kinds) in faults {
        sqlx::raw_sql("SAVEPOINT fault")
            .execute(&mut *transaction)
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(fault))
            .execute(&mut *transaction)
            .await
            .unwrap();
        let audit = shop.audit_in(&mut transaction).await.unwrap();
        assert_eq!(orders(&audit), kinds, "{fault}\n{audit}");
        for limit in [1, 2] {
            let ranges = in_ranges(&shop, &mut transaction, limit).await;
            assert_eq!(ranges, audit, "{fault}, by {limit} rows");
        }
        sqlx::raw_sql("ROLLBACK TO fault")
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.rollback().await.unwrap();
}

/// The ledger of a product is closed further than an audit that is under way has read.
#[tokio::test]
async fn a_ledger_is_closed_between_the_ranges() {
    let (db, shop) = shop().await;
    let mut transaction = db.pool.begin().await.unwrap();
    let mut position = AuditPosition::START;
    while !position.to_string().ends_with("/pot") {
        let range = shop
            .audit_range_in(&mut transaction, &position, 1)
            .await
            .unwrap();
        position = range.next.unwrap();
    }
    for version in [1, 4] {
        let close = format!(
            "DELETE FROM optilock.movements WHERE sku = 'pot' AND version < {version};
            UPDATE optilock.movements SET kind = 15, delta = stock_after, order_id = NULL, reservation_id = NULL
            WHERE sku = 'pot' AND version = {version}"
        );
        let close = sqlx::raw_sql(AssertSqlSafe(close));
        close.execute(&mut *transaction).await.unwrap();
        let range = shop
            .audit_range_in(&mut transaction, &position, 100)
            .await
            .unwrap();
        assert_eq!(range.discrepancies, [], "closed at {version}");
    }
    transaction.rollback().await.unwrap();
}

/// Sells 1,100 pots, with the rows that the crate would write, after a delivery of as many.
async fn sell_1_100_pots(pool: &PgPool) {
    let delivered =
        "UPDATE optilock.movements SET delta = delta + 1100, stock_after = stock_after + 1100
        WHERE sku = 'pot' AND kind = 8";
    let later = "UPDATE optilock.movements SET stock_after = stock_after + 1100 WHERE sku = 'pot' AND kind <> 8";
    let sales = "WITH sold AS (
            SELECT gen_random_uuid() AS id, p.version + n AS version, p.stock + 1100 - n AS stock_after
            FROM optilock.products p, generate_series(1, 1100) AS n WHERE p.sku = 'pot'),
        orders AS (INSERT INTO optilock.orders (id, total, currency) SELECT id, 1000, 'MXN' FROM sold),
        lines AS (INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT id, 'pot', 1, 1000 FROM sold)
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
        SELECT 'pot', version, 1, -1, stock_after, id FROM sold";
    let moved = "UPDATE optilock.products SET version = version + 1100 WHERE sku = 'pot'";
    for sql in [delivered, later, sales, moved] {
        run(pool, sql).await;
    }
}

/// One change by SQL shifts each later `stock_after` of the product and counts as one discrepancy.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_busy_product_by_sql_hides_no_other_discrepancy() {
    let (db, shop) = shop().await;
    let bypass = "UPDATE optilock.products SET stock = stock - 1 WHERE sku = 'pot'";
    run(&db.pool, bypass).await;
    sell_1_100_pots(&db.pool).await;
    let other = "UPDATE optilock.order_lines SET returned = 0 WHERE returned > 0;
        UPDATE optilock.products SET stock = stock + 1 WHERE sku = 'mug'";
    run(&db.pool, other).await;
    let audit = shop.audit().await.unwrap();
    let mut found: Vec<(Kind, &str)> = audit
        .discrepancies
        .iter()
        .map(|it| (it.kind, it.subject.as_str()))
        .collect();
    let (kind, returned) = found.pop().unwrap();
    assert!(
        kind == Kind::Returned && returned.ends_with(" pot"),
        "{audit}"
    );
    assert!(
        matches!(
            found.as_slice(),
            [
                (Kind::Stock, "mug"),
                (Kind::Stock, "pot"),
                (Kind::RunningStock, _),
            ]
        ),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_limits_the_discrepancies_of_each_kind() {
    let (db, shop) = shop().await;
    sell_1_100_pots(&db.pool).await;
    let changes = "UPDATE optilock.order_lines SET price = 999 WHERE sku = 'pot';
        UPDATE optilock.holds SET state = 2 WHERE state = 0";
    run(&db.pool, changes).await;
    let audit = shop.audit().await.unwrap();
    let of = |kind| {
        audit
            .discrepancies
            .iter()
            .filter(|it| it.kind == kind)
            .count()
    };
    assert_eq!(
        (of(Kind::Total), of(Kind::Reserved)),
        (Audit::MAX_OF_A_KIND, 1)
    );
}
