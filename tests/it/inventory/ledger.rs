//! What the ledger and the products keep, whatever was done to them.

mod audit;
mod feed;

use std::time::Duration;

use optilock::{
    Class, Classify, Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, Inventory, MemoryInventory,
        MovementKind, Page, PgInventory, Stock, Strategy,
    },
    sqlx::{self, AssertSqlSafe, PgPool},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books},
    support::goods::{add, cart, new_product, sku, stock},
};

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

/// The same adjustment is answered as it was made, whatever became of the product.
async fn adjusts_once(shop: &dyn Inventory) {
    let pot = sku("adjusted");
    add(shop, "adjusted", 5).await;
    let delivery = Adjustment::new(pot.clone(), 3, "delivery").unwrap();
    let made = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!(made.stock, stock(8));
    shop.retire_product(&pot, made.version).await.unwrap();
    let again = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!((again.sku.clone(), again.stock), (pot.clone(), stock(8)));
    // Its id names that adjustment, of a product that is retired or was never there.
    for (name, delta) in [("adjusted", 4), ("nowhere", 3)] {
        let other = Adjustment::new(sku(name), delta, "delivery").unwrap();
        let refused = shop.adjust_stock(other.with_id(delivery.id())).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "idempotency-mismatch", "{refused:?}");
    }
    let new = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    assert!(shop.adjust_stock(new).await.unwrap_err().is_not_found());
    shop.add_product(new_product("adjusted", 1)).await.unwrap();
    let again = shop.adjust_stock(delivery).await.unwrap();
    assert_eq!(again.stock, stock(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_is_made_once_whatever_became_of_the_product() {
    adjusts_once(&MemoryInventory::new()).await;
    let db = Db::new().await;
    adjusts_once(&PgInventory::new(db.pool.clone())).await;
    assert_books(&db.pool).await;
}

/// Inputs are limited; what is stored is read.
async fn reads_beyond_the_largest_stock(shop: &dyn Inventory) {
    let pot = sku("full");
    add(shop, "full", Stock::MAX.get()).await;
    let order = shop.checkout(cart(&[("full", 1)])).await.unwrap();
    let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    assert_eq!(shop.adjust_stock(more).await.unwrap().stock, Stock::MAX);
    shop.cancel(order.id, "changed my mind").await.unwrap();
    let beyond = shop.product(&pot).await.unwrap();
    assert_eq!(beyond.stock.get(), Stock::MAX.get() + 1);
    assert_eq!(beyond.available(), Stock::MAX.get() + 1);
    assert_eq!(
        shop.products(Page::first(10)).await.unwrap(),
        std::slice::from_ref(&beyond)
    );
    let movements = shop.movements(&pot, Page::first(10)).await.unwrap();
    assert_eq!(movements.last().unwrap().stock_after, beyond.stock.get());
    let one = |delta| Adjustment::new(pot.clone(), delta, "count").unwrap();
    let refused = shop.adjust_stock(one(1)).await.unwrap_err();
    assert_eq!(refused.code(), "invalid", "{refused:?}");
    // Less is possible, also where it stays beyond the limit.
    let less = shop.checkout(cart(&[("full", 1)])).await.unwrap();
    shop.cancel(less.id, "changed my mind").await.unwrap();
    let product = shop.adjust_stock(one(-1)).await.unwrap();
    assert_eq!(product.stock, Stock::MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_read_beyond_the_largest_stock() {
    reads_beyond_the_largest_stock(&MemoryInventory::new()).await;
    let db = Db::new().await;
    reads_beyond_the_largest_stock(&PgInventory::new(db.pool.clone())).await;
    assert_books(&db.pool).await;
}

/// A row that other code wrote without the limits of the crate, and one that takes a stock far beyond them.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_code_stored_is_read() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    crate::support::db::drop_checks(&db.pool).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET stock = 9223372036854775807, reserved = -3;
         UPDATE optilock.order_lines SET quantity = 9223372036854775807, price = 9223372036854775807",
    )
    .await;
    let pot = shop.product(&sku("pot")).await.unwrap();
    assert_eq!((pot.stock.get(), pot.reserved.get()), (i64::MAX, -3));
    assert_eq!(pot.available(), i64::MAX);
    let order = shop.order(order.id).await.unwrap();
    assert_eq!(order.lines[0].quantity.get(), i64::MAX);
    run(&db.pool, "UPDATE optilock.products SET stock = -7").await;
    assert_eq!(shop.product(&sku("pot")).await.unwrap().stock.get(), -7);
    let cached = optilock::cache::CachedStock::new(&shop);
    let shown = cached.display(&sku("pot")).await.unwrap();
    assert_eq!((shown.shown(), shown.is_sold_out()), (0, true));
    assert!(!shop.audit().await.unwrap().is_clean());
}

/// A kind of movement that a newer version of the crate wrote is data.
#[tokio::test(flavor = "multi_thread")]
async fn a_movement_of_a_kind_from_the_future() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET version = 2;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after) VALUES ('pot', 2, 77, 0, 5)",
    )
    .await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let page = shop.movements(&sku("pot"), Page::first(10)).await.unwrap();
    let kinds: Vec<MovementKind> = page.iter().map(|movement| movement.kind).collect();
    assert_eq!(
        kinds,
        [
            MovementKind::Added,
            MovementKind::Other(77),
            MovementKind::Sale
        ]
    );
    assert_eq!(kinds[1].to_string(), "other");
    assert_eq!(
        serde_json::to_value(&page[1]).unwrap()["kind"],
        serde_json::json!({ "other": 77 })
    );
    shop.report(Duration::from_secs(60)).await.unwrap();
    assert_books(&db.pool).await;
}

/// No retry helps when other code set a version back: the ledger has that row.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_set_back() {
    let db = Db::new().await;
    let inner = PgInventory::new(db.pool.clone());
    add(&inner, "pot", 50).await;
    let order = inner.checkout(cart(&[("pot", 1)])).await.unwrap();
    let held = [(sku("pot"), crate::support::goods::units(1))];
    let reserve = || optilock::inventory::Reserve::new(held.clone()).unwrap();
    let held = inner.reserve(reserve()).await.unwrap();
    let version = inner.product(&sku("pot")).await.unwrap().version;
    run(
        &db.pool,
        "UPDATE optilock.products SET version = version - 1",
    )
    .await;
    let back = Version::new(version.get() - 1).unwrap();
    let mut refused: Vec<(&str, Error)> = Vec::new();
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let shop = inner.clone().with_strategy(strategy);
        let answer = shop.checkout(cart(&[("pot", 1)])).await;
        refused.push(("checkout", answer.unwrap_err()));
    }
    let batches = BatchedInventory::new(inner.clone(), BatchOptions::new().always());
    refused.push((
        "batch",
        batches.checkout(cart(&[("pot", 1)])).await.unwrap_err(),
    ));
    batches.shutdown().await;
    let pot = sku("pot");
    let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
    refused.push(("adjust", inner.adjust_stock(more).await.unwrap_err()));
    let count = inner.count_stock(&pot, back, stock(7), "counted");
    refused.push(("count", count.await.unwrap_err()));
    let product = inner.product(&pot).await.unwrap();
    refused.push(("edit", inner.update_product(&product).await.unwrap_err()));
    refused.push(("pause", inner.pause(&pot).await.unwrap_err()));
    refused.push((
        "retire",
        inner.retire_product(&pot, back).await.unwrap_err(),
    ));
    refused.push(("reserve", inner.reserve(reserve()).await.unwrap_err()));
    refused.push(("release", inner.release(held.id).await.unwrap_err()));
    refused.push(("cancel", inner.cancel(order.id, "x").await.unwrap_err()));
    for (operation, error) in &refused {
        assert_eq!(error.code(), "version-set-back", "{operation}: {error:?}");
        assert_eq!(
            (error.class(), error.http_status()),
            (Class::Permanent, 500)
        );
        assert!(error.to_string().contains("run audit"), "{error}");
    }
    assert_eq!(
        inner.product(&pot).await.unwrap(),
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
    assert_books(&db.pool).await;
}

/// What triggers do to each table that a change of a product writes: swallow the row, or alter it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_product_that_is_swallowed_or_altered_fails_as_a_whole() {
    let altered = [
        ("products", "UPDATE", "NULL"),
        ("products", "UPDATE", "OLD"),
        ("products", "UPDATE", "NEW.stock := NEW.stock + 1"),
        ("products", "UPDATE", "NEW.version := NEW.version + 1"),
        ("products", "INSERT", "NULL"),
        ("products", "INSERT", "NEW.stock := NEW.stock + 1"),
        ("products", "INSERT", "NEW.paused := true"),
        ("movements", "INSERT", "NULL"),
        ("movements", "INSERT", "NEW.delta := NEW.delta + 1"),
        ("movements", "INSERT", "NEW.version := NEW.version + 50"),
        (
            "movements",
            "INSERT",
            "NEW.stock_after := NEW.stock_after + 1",
        ),
    ];
    let mut wrong = Vec::new();
    for (table, event, what) in altered {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        let pot = add(&shop, "pot", 50).await;
        let paused = {
            add(&shop, "paused", 50).await;
            shop.pause(&sku("paused")).await.unwrap()
        };
        let retired = add(&shop, "retired", 5).await;
        let retired = shop.retire_product(&retired.sku, retired.version).await;
        retired.unwrap();
        let body = if what.contains(":=") {
            format!("{what}; RETURN NEW")
        } else {
            format!("RETURN {what}")
        };
        let trigger = format!(
            "CREATE FUNCTION public.tamper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;
             CREATE TRIGGER tamper BEFORE {event} ON optilock.{table} FOR EACH ROW EXECUTE FUNCTION public.tamper()"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger))
            .execute(&db.pool)
            .await
            .unwrap();
        let before = everything(&db.pool).await;
        let more = Adjustment::new(pot.sku.clone(), 1, "delivery").unwrap();
        let mut edited = pot.clone();
        edited.name = "Another".to_owned();
        let version = async || shop.product(&pot.sku).await.unwrap().version;
        let answers = [
            (
                "add",
                shop.add_product(new_product("new", 3)).await.map(drop),
            ),
            (
                "take up",
                shop.add_product(new_product("retired", 3)).await.map(drop),
            ),
            ("adjust", shop.adjust_stock(more).await.map(drop)),
            (
                "count",
                shop.count_stock(&pot.sku, version().await, stock(7), "counted")
                    .await
                    .map(drop),
            ),
            ("edit", shop.update_product(&edited).await.map(drop)),
            ("pause", shop.pause(&pot.sku).await.map(drop)),
            ("resume", shop.resume(&paused.sku).await.map(drop)),
            (
                "retire",
                shop.retire_product(&pot.sku, version().await).await,
            ),
        ];
        for (operation, answer) in answers {
            let concerned = table == "movements" || (operation == "add") == (event == "INSERT");
            match answer {
                Err(Error::Suppressed { .. }) if concerned => {}
                Ok(()) if !concerned => {}
                other => wrong.push(format!(
                    "{operation}: {event} on {table}: {what}: {other:?}"
                )),
            }
        }
        if table == "movements" {
            assert_eq!(everything(&db.pool).await, before, "{what}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn everything(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(E'\n',
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.products t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.movements t))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}

/// 16 writers of one product, in transactions whose statements wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn within_a_product_no_time_runs_backwards() {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1_000_000).await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let shop = shop.clone();
        writers.spawn(async move {
            let pot = sku("pot");
            for round in 0..40 {
                match (writer + round) % 4 {
                    0 => {
                        let more = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
                        shop.adjust_stock(more).await.map(drop)
                    }
                    1 => shop.pause(&pot).await.map(drop),
                    2 => {
                        let mut edited = shop.product(&pot).await.unwrap();
                        edited.name = format!("Pot {writer} {round}");
                        match shop.update_product(&edited).await {
                            Err(error) if error.is_conflict() => Ok(()),
                            other => other.map(drop),
                        }
                    }
                    _ => shop.resume(&pot).await.map(drop),
                }
                .unwrap();
            }
        });
    }
    writers.join_all().await;
    let backwards: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT moved_at < lag(moved_at) OVER (PARTITION BY sku ORDER BY version) AS back
             FROM optilock.movements) m WHERE back",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(backwards, 0);
    let apart: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM optilock.products p JOIN optilock.movements m
             ON m.sku = p.sku AND m.version = p.version WHERE m.moved_at <> p.updated_at",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(apart, 0);
    assert_books(&db.pool).await;
}
