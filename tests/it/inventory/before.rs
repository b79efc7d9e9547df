//! The version before, as it runs beside the newest one during an update and again after a rollback: its statements, as
//! they were when migrations began to be only added to, on the newest tables.

use std::sync::Arc;

use optilock::{
    inventory::{
        Adjustment, ArchivePosition, BatchOptions, BatchedInventory, Error, Inventory, OrderFilter,
        Page, PgInventory, Reserve, ReturnRequest, replacing, statements,
    },
    sqlx::{self, AssertSqlSafe, Executor, PgPool, Row, SqlSafeStr, postgres::PgRow},
    testing::fulfils_contract as fulfil,
};
use tokio::task::JoinSet;

use crate::support::{
    SHUTDOWN,
    db::{Db, Default, assert_balanced},
    goods::{add, cart, sku, units},
    idle_hook::IdleHook,
    race::fresh,
    strategies::STRATEGIES,
};

/// `-- NAME`, the text, and a semicolon, for each.
const STATEMENTS: &str = include_str!("before/statements.sql");

/// The MD5 of the migration that the version before had.
const FIRST_MIGRATION: (&str, &str) = (
    include_str!("../../../migrations/0001_inventory.sql"),
    "21c586c55f3315c4659e190433128b5b",
);

/// Those whose parameters or columns the newest code does not know, which tests of their own run, and one without a
/// table.
const OTHER_FORM: [&str; 3] = ["ledger::AUDIT", "cleanup::KEYS", "cleanup::WAIT_SHORTLY"];

/// Those whose rows do not say whether they are archived: the version before takes each for one that is not.
const WITHOUT_ARCHIVE: [&str; 5] = [
    "orders::ORDER",
    "orders::KNOWN",
    "reservations::RESERVATION",
    "reservations::RESERVATION_KNOWN",
    "batch::RESERVATIONS",
];

/// Returns the names and the texts.
fn before() -> Vec<(&'static str, &'static str)> {
    let entries = STATEMENTS.trim_start_matches("-- ").split("\n\n-- ");
    let parts = entries.map(|it| {
        it.trim_end()
            .trim_end_matches(';')
            .split_once('\n')
            .unwrap()
    });
    parts.collect()
}

fn text_of(name: &str) -> &'static str {
    before().into_iter().find(|it| it.0 == name).unwrap().1
}

/// Returns an inventory that sends the statements of the version before.
fn older(shop: PgInventory) -> PgInventory {
    let mut texts = Vec::new();
    for (name, text) in before() {
        let mut text = text.to_owned();
        if WITHOUT_ARCHIVE.contains(&name) {
            text = text.replacen("SELECT ", "SELECT false AS archived, ", 1);
        }
        if !OTHER_FORM.contains(&name) {
            texts.push((name, text));
        }
    }
    let texts: Vec<_> = texts.iter().map(|it| (it.0, it.1.as_str())).collect();
    replacing(shop, &texts)
}

/// Runs the audit of the version before, and returns what it finds.
async fn older_audit(pool: &PgPool) -> Vec<String> {
    let audit = sqlx::query(text_of("ledger::AUDIT")).bind(100_i64);
    let describe = |row: PgRow| {
        let (kind, subject): (i16, String) = (row.get("kind"), row.get("subject"));
        format!("{kind} {subject}")
    };
    let rows = audit.fetch_all(pool).await.unwrap();
    rows.into_iter().map(describe).collect()
}

#[tokio::test]
async fn the_first_migration_is_as_it_was() {
    let db = Db::empty().await;
    let found: String = sqlx::query_scalar("SELECT md5($1)")
        .bind(FIRST_MIGRATION.0)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(found, FIRST_MIGRATION.1, "add a migration instead");
}

#[tokio::test]
async fn the_newest_tables_know_every_statement() {
    let db = Db::new().await;
    let newest: Vec<_> = statements().collect();
    let mut conn = db.pool.acquire().await.unwrap();
    let mut changed = 0;
    for (name, text) in before() {
        let prepared = (&mut *conn)
            .prepare(AssertSqlSafe(text).into_sql_str())
            .await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
        let newest = newest.iter().find(|it| it.0 == name).map(|it| it.1);
        changed += usize::from(newest != Some(text));
        let known = newest.is_some() || OTHER_FORM.contains(&name);
        assert!(known, "{name} is gone, and no test runs it");
    }
    assert!(before().len() > 80 && changed > 10, "{changed}");
}

#[tokio::test]
async fn it_sends_its_own_statements() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = older(PgInventory::new(db.pool.clone()));
    add(&shop, "pot", 9).await;
    let sold = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.orders(OrderFilter::default(), Page::first(10))
        .await
        .unwrap();
    shop.cancel(sold.id, "test").await.unwrap();
    let newest = statements().find(|it| it.0 == "orders::ORDERS").unwrap().1;
    for (text, sent) in [(text_of("orders::ORDERS"), 1_i64), (newest, 0)] {
        let found = "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1";
        let found: i64 = sqlx::query_scalar(found)
            .bind(text)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(found, sent, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fulfils_the_contract_by_each_strategy() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let shop = older(PgInventory::new(db.pool.clone()).with_strategy(strategy));
        fulfil(&shop).await;
        assert_balanced(&db.pool).await;
        assert_eq!(older_audit(&db.pool).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fulfils_the_contract_with_an_outbox_a_hook_or_in_batches() {
    let (db, hooked) = (Db::new().await, Db::new().await);
    let shop = older(PgInventory::new(db.pool.clone()).with_outbox());
    let batched = BatchedInventory::new(shop, BatchOptions::new().always());
    fulfil(&batched).await;
    batched.shutdown(SHUTDOWN).await.unwrap();
    let shop = PgInventory::new(hooked.pool.clone()).with_hook(Arc::new(IdleHook));
    fulfil(&older(shop)).await;
    for db in [db, hooked] {
        assert_balanced(&db.pool).await;
        assert_eq!(older_audit(&db.pool).await, [""; 0]);
    }
}

/// Sells, pays, cancels, revives, takes back, reserves and adjusts.
async fn trade(shop: impl Inventory, trader: u64) -> Result<(), Error> {
    for round in 0..12 {
        let held = if round % 2 == 0 {
            let pots = Reserve::new([(sku("pot"), units(2))])?;
            Some(shop.reserve(pots).await?)
        } else {
            None
        };
        let mut wanted = cart(&[("mug", 1), ("pot", 2)]);
        if let Some(held) = &held {
            wanted = wanted.with_reservation(held.id);
        }
        let sold = shop.checkout(wanted.clone()).await?;
        assert_eq!(shop.checkout(wanted).await?.id, sold.id, "replayed");
        match (trader + round) % 4 {
            0 => drop(shop.cancel(sold.id, "test").await?),
            1 => {
                shop.mark_paid(sold.id).await?;
                let back = ReturnRequest::new(sold.id, [(sku("pot"), units(1))], "late")?;
                shop.return_items(back).await?;
            }
            2 => {
                shop.cancel(sold.id, "test").await?;
                shop.revive(sold.id).await?;
            }
            _ => {
                let more = Adjustment::new(sku("mug"), 3, "delivery")?;
                shop.adjust_stock(more).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_sell_at_once_and_then_the_one_before_alone() {
    let db = Db::new().await;
    let newest = PgInventory::new(db.pool.clone()).with_outbox();
    let before = older(newest.clone());
    for name in ["mug", "pot"] {
        add(&newest, name, 5_000).await;
    }
    let batched = |shop: &PgInventory| BatchedInventory::new(shop.clone(), BatchOptions::new());
    let batches = [batched(&newest), batched(&before)];
    let mut traders = JoinSet::new();
    for trader in 0..3 {
        traders.spawn(trade(newest.clone(), trader));
        traders.spawn(trade(before.clone(), trader));
        traders.spawn(trade(batches[0].clone(), trader));
        traders.spawn(trade(batches[1].clone(), trader));
    }
    for ended in traders.join_all().await {
        ended.unwrap();
    }
    for batch in &batches {
        batch.shutdown(SHUTDOWN).await.unwrap();
    }
    assert_balanced(&db.pool).await;
    assert_eq!(older_audit(&db.pool).await, [""; 0]);
    trade(before, 1).await.unwrap();
    assert_balanced(&db.pool).await;
    assert_eq!(older_audit(&db.pool).await, [""; 0]);
    let found = support::balances::discrepancies(&db.pool).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}

/// A repeated request for an order that the newest version has archived takes no second effect, and sells nothing.
#[tokio::test]
async fn it_does_not_sell_an_archived_order_again() {
    let db = Db::new().await;
    let newest = PgInventory::new(db.pool.clone());
    let shop = older(newest.clone());
    add(&shop, "pot", 9).await;
    let wanted = cart(&[("pot", 1)]);
    let sold = shop.checkout(wanted.clone()).await.unwrap();
    shop.mark_paid(sold.id).await.unwrap();
    let aged = "UPDATE optilock.movements SET moved_at = moved_at - interval '1 day'";
    sqlx::query(aged).execute(&db.pool).await.unwrap();
    let mut next = Some(ArchivePosition::before(
        "2999-01-01T00:00:00Z".parse().unwrap(),
    ));
    let mut archived = 0;
    while let Some(position) = next {
        let page = newest.archive(&position, 100).await.unwrap();
        archived += page.orders.len();
        next = page.next;
    }
    assert_eq!(archived, 1);
    let refused = shop.checkout(wanted).await.unwrap_err();
    assert_eq!(refused.code(), "invalid-order-state", "{refused:?}");
    let refused = shop.mark_paid(sold.id).await.unwrap_err();
    assert_eq!(refused.code(), "invalid-order-state", "{refused:?}");
    let stock = shop.product(&sku("pot")).await.unwrap().stock;
    assert_eq!(stock.get(), 8);
    let other = shop.checkout(fresh(cart(&[("pot", 1)]))).await.unwrap();
    shop.cancel(other.id, "test").await.unwrap();
    assert_balanced(&db.pool).await;
}

/// The clean-up of keys read all orders by id. Its page still says which keys are old.
#[tokio::test]
async fn its_clean_up_of_keys_runs() {
    let db = Db::new().await;
    let shop = older(PgInventory::new(db.pool.clone()));
    add(&shop, "pot", 9).await;
    let keyed = cart(&[("pot", 1)]).with_idempotency_key("cart 1");
    let sold = shop.checkout(keyed).await.unwrap();
    let page = sqlx::query(text_of("cleanup::KEYS"))
        .bind(0_f64)
        .bind(sqlx::types::Uuid::nil())
        .bind(10_i64)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let old: Vec<sqlx::types::Uuid> = page.get("old");
    assert_eq!(old, [sold.id.uuid()]);
    assert_eq!(page.get::<i64, _>("rows"), 1);
}
