//! A trigger that swallows a part of a write, or changes it, makes the whole of it fail, by name.

use std::time::Duration;

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BatchOptions, BatchedInventory, BoxError, Error, Inventory, OnAccepted,
        PgInventory, ReservationId, Reserve, Strategy,
    },
    postgres::transact,
    sqlx::{self, AssertSqlSafe, Executor, PgConnection, PgPool},
};

use crate::{
    support::db::{Db, assert_books, order_count},
    support::goods::{add, cart, sku, units},
};

/// What a write to a table becomes.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Swallowed,
    /// It counts as written, with the old row's values, or with another value in the named column.
    Altered(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    One(Strategy),
    Many(Strategy),
    Batch,
    FromReservation,
    Reserve,
    Extend,
    Release,
    /// A checkout behind an expired hold.
    Expiring,
}

use Operation::{Batch, Expiring, Extend, FromReservation, Many, One, Release};

/// Which tables an operation writes, and the columns that a trigger may change.
fn writes(operation: Operation) -> Vec<(&'static str, &'static str, Fault)> {
    use Fault::{Altered, Swallowed};
    let mut all = Vec::new();
    let mut add = |table, event, alterations: &[&'static str]| {
        all.push((table, event, Swallowed));
        all.extend(alterations.iter().map(|it| (table, event, Altered(it))));
    };
    if operation == Extend {
        add("holds", "UPDATE", &["OLD", "expires_at = OLD.expires_at"]);
        return all;
    }
    let sells = !matches!(operation, Operation::Reserve | Release);
    let stock = if sells && operation != Expiring {
        "stock = OLD.stock"
    } else {
        "reserved = OLD.reserved"
    };
    add("products", "UPDATE", &["OLD", stock]);
    add(
        "movements",
        "INSERT",
        &["stock_after = NEW.stock_after + 1"],
    );
    if sells {
        add(
            "orders",
            "INSERT",
            &["total = 7", "status = 2", "version = 2"],
        );
        add("order_lines", "INSERT", &["price = 7", "quantity = 7"]);
    }
    match operation {
        Operation::Reserve => {
            add("reservations", "INSERT", &["remaining = 7"]);
            add(
                "holds",
                "INSERT",
                &["held = 0", "quantity = 7", "state = 2"],
            );
        }
        FromReservation | Release => {
            add("reservations", "UPDATE", &["OLD"]);
            add("holds", "UPDATE", &["OLD", "state = OLD.state"]);
        }
        Expiring => add("holds", "UPDATE", &["OLD", "state = OLD.state"]),
        _ => {}
    }
    all
}

async fn stored(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(' ',
        (SELECT string_agg(p::text, ' ' ORDER BY sku) FROM optilock.products p),
        (SELECT string_agg(h::text, ' ' ORDER BY h) FROM optilock.holds h),
        (SELECT string_agg(r::text, ' ' ORDER BY id) FROM optilock.reservations r),
        (SELECT count(*) FROM optilock.orders WHERE status <> 4), (SELECT count(*) FROM optilock.order_lines),
        (SELECT count(*) FROM optilock.movements))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}

async fn run(shop: &PgInventory, operation: Operation, held: ReservationId) -> Result<(), Error> {
    let by = |strategy| shop.clone().with_strategy(strategy);
    match operation {
        One(strategy) => by(strategy).checkout(cart(&[("pot", 2)])).await.map(drop),
        Many(strategy) => {
            let request = cart(&[("mug", 1), ("pot", 2)]);
            by(strategy).checkout(request).await.map(drop)
        }
        Batch => {
            let options = BatchOptions::new().always();
            let combined = BatchedInventory::new(shop.clone(), options);
            let (a, b) = (cart(&[("pot", 2)]), cart(&[("mug", 1), ("pot", 1)]));
            let (a, b) = tokio::join!(combined.checkout(a), combined.checkout(b));
            a.and(b).map(drop)
        }
        FromReservation => {
            let request = cart(&[("mug", 1), ("pot", 3)]).with_reservation(held);
            shop.checkout(request).await.map(drop)
        }
        Operation::Reserve => {
            let lines = [(sku("mug"), units(1)), (sku("pot"), units(2))];
            shop.reserve(Reserve::new(lines).unwrap()).await.map(drop)
        }
        Extend => {
            let by = Duration::from_secs(9_000);
            shop.extend(held, by).await.map(drop)
        }
        Release => shop.release(held).await,
        Expiring => shop.checkout(cart(&[("dish", 2)])).await.map(drop),
    }
}

#[tokio::test]
async fn every_part_of_every_write() {
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
        for (table, event, fault) in writes(operation) {
            let body = match fault {
                Fault::Swallowed => "RETURN NULL;".to_owned(),
                Fault::Altered("OLD") => "RETURN OLD;".to_owned(),
                Fault::Altered(column) => {
                    let (column, value) = column.split_once(" = ").unwrap();
                    format!("NEW.{column} := {value}; RETURN NEW;")
                }
            };
            // A check of the table itself would be another answer.
            let sql = format!(
                "CREATE OR REPLACE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
                 CREATE TRIGGER meddle BEFORE {event} ON optilock.{table} FOR EACH ROW EXECUTE FUNCTION public.meddle();
                 ALTER TABLE optilock.holds DROP CONSTRAINT IF EXISTS holds_held_check"
            );
            db.pool
                .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
                .await
                .unwrap();
            let before = stored(&db.pool).await;
            let answer = run(&shop, operation, held.id).await;
            let cell = format!("{operation:?}: {event} of {table}, {fault:?}");
            match answer {
                Err(Error::Suppressed { table: named, .. }) => {
                    assert_eq!(named, Some(format!("optilock.{table}")), "{cell}");
                }
                other => panic!("{cell}: {other:?}"),
            }
            let sql = format!("DROP TRIGGER meddle ON optilock.{table}");
            db.pool.execute(AssertSqlSafe(sql)).await.unwrap();
            assert_eq!(stored(&db.pool).await, before, "{cell}");
            cells += 1;
        }
        run(&shop, operation, held.id).await.unwrap();
        assert_books(&db.pool).await;
    }
    println!("{cells} cells");
    assert!(cells > 80);
}

/// In a batch it costs the one request that it is about, not the others.
#[tokio::test]
async fn in_a_batch_the_others_are_sold() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "mug", 100).await;
    add(&shop, "pot", 100).await;
    let sql = "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.customer = 'eva' THEN NEW.total := 7; END IF; RETURN NEW; END $$;
         CREATE TRIGGER meddle BEFORE INSERT ON optilock.orders FOR EACH ROW EXECUTE FUNCTION public.meddle()";
    db.pool.execute(sqlx::raw_sql(sql)).await.unwrap();
    let combined = BatchedInventory::new(shop, BatchOptions::new().always());
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..20 {
        let combined = combined.clone();
        crowd.spawn(async move {
            let request = cart(&[("mug", 1), ("pot", 2)]);
            let name = if number == 11 { "eva" } else { "ana" };
            combined.checkout(request.with_customer(name)).await
        });
    }
    let answers = crowd.join_all().await;
    let refused: Vec<_> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(
        matches!(&refused[..], [Error::Suppressed { table: Some(table), .. }] if table == "optilock.orders"),
        "{refused:?}"
    );
    assert_eq!(order_count(&db.pool).await, 19);
    assert_books(&db.pool).await;
}

/// Lets a statement fail, and says that all is well.
struct Swallows;

#[async_trait]
impl OnAccepted for Swallows {
    async fn on_accepted(&self, conn: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        let _swallowed = sqlx::query("SELECT 1 / 0").execute(conn).await;
        Ok(())
    }
}

/// The sale alone is lost, and not what the host's transaction did before.
#[tokio::test]
async fn a_hook_that_swallows_an_error_loses_its_sale_alone() {
    let db = Db::new().await;
    let plain = PgInventory::new(db.pool.clone());
    add(&plain, "pot", 10).await;
    let hooked = plain.clone().with_hook(std::sync::Arc::new(Swallows));
    let (first, last) = (cart(&[("pot", 1)]), cart(&[("pot", 1)]));
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        plain.checkout_in(tx, &first).await?;
        let lost = hooked
            .checkout_in(tx, &cart(&[("pot", 2)]))
            .await
            .unwrap_err();
        assert!(matches!(lost, Error::Hook { .. }), "{lost:?}");
        let source = std::error::Error::source(&lost).unwrap().to_string();
        assert!(source.contains("swallowed"), "{source}");
        plain.checkout_in(tx, &last).await
    })
    .await
    .unwrap();
    assert_eq!(order_count(&db.pool).await, 2);
    plain.order(first.order_id()).await.unwrap();
    assert_books(&db.pool).await;
}
