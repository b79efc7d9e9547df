//! Triggers and policies that swallow a part of a step, or change it.

use std::time::Duration;

use optilock::sqlx::AssertSqlSafe;
use tokio::time::timeout;

use super::*;
use crate::support::db::with_role;

/// Everything that is stored.
async fn stored(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(E'\n',
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.products t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.orders t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.order_lines t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.returns t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.movements t))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}

async fn run(pool: &PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(pool)
        .await
        .unwrap();
}

/// A trigger before a write on a table, by what it does with each row.
async fn meddle(pool: &PgPool, table: &str, event: &str, body: &str, when: &str) {
    run(
        pool,
        format!(
            "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER meddle BEFORE {event} ON optilock.{table} FOR EACH ROW {when}
                 EXECUTE FUNCTION public.meddle()"
        ),
    )
    .await;
}

async fn leave(pool: &PgPool) {
    run(pool, "DROP FUNCTION public.meddle CASCADE".to_owned()).await;
}

const SWALLOW: &str = "RETURN NULL;";
const KEEP: &str = "RETURN OLD;";

/// Table, event, and what is done.
const TRIGGERS: [(&str, &str, &str); 14] = [
    ("orders", "UPDATE", SWALLOW),
    ("orders", "UPDATE", KEEP),
    (
        "orders",
        "UPDATE",
        "NEW.version := NEW.version + 1; RETURN NEW;",
    ),
    ("orders", "UPDATE", "NEW.status := 4; RETURN NEW;"),
    ("products", "UPDATE", SWALLOW),
    ("products", "UPDATE", KEEP),
    (
        "products",
        "UPDATE",
        "NEW.stock := NEW.stock + 1; RETURN NEW;",
    ),
    ("movements", "INSERT", SWALLOW),
    (
        "movements",
        "INSERT",
        "NEW.delta := NEW.delta + 1; RETURN NEW;",
    ),
    ("order_lines", "UPDATE", SWALLOW),
    ("order_lines", "UPDATE", KEEP),
    (
        "order_lines",
        "UPDATE",
        "NEW.returned := NEW.returned + 1; RETURN NEW;",
    ),
    ("returns", "INSERT", SWALLOW),
    (
        "returns",
        "INSERT",
        "NEW.order_id := gen_random_uuid(); RETURN NEW;",
    ),
];

fn writes(step: Step, table: &str) -> bool {
    match step {
        Step::Pay | Step::Fail => table == "orders",
        Step::Cancel | Step::Revive => ["orders", "products", "movements"].contains(&table),
        Step::ReturnRequest => true,
    }
}

/// A step is stored as it was meant, or not at all: alone and in a batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_stored_as_it_was_meant_or_not_at_all() {
    let (db, direct) = shop().await;
    let batched = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    let mut cells = 0;
    for (table, event, body) in TRIGGERS {
        for shop in [&direct as &dyn Inventory, &batched] {
            for step in STEPS.into_iter().filter(|step| writes(*step, table)) {
                let request = Request::new(&direct, step, false).await;
                meddle(&db.pool, table, event, body, "").await;
                let before = stored(&db.pool).await;
                let answer = request.send(shop).await;
                leave(&db.pool).await;
                let cell = format!("{step:?}, {event} of {table}: {body} {answer:?}");
                assert_eq!(stored(&db.pool).await, before, "{cell}");
                let Err(Error::Suppressed {
                    entity,
                    id,
                    table: told,
                }) = answer
                else {
                    panic!("{cell}");
                };
                assert_eq!(
                    (entity, id),
                    ("order", request.order.id.to_string()),
                    "{cell}"
                );
                // No row at all may have several reasons.
                let named = told.is_none() && body == SWALLOW
                    || told.as_deref() == Some(&format!("optilock.{table}"));
                assert!(named, "{cell}");
                // And afterwards it is made.
                assert!(!request.send(shop).await.unwrap().replayed);
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * (4 * 5 + 3 * 3 + 2 * 3 + 3 + 2));
    assert_books(&db.pool).await;
}

/// One order of a batch is swallowed: that one is refused, the others are cancelled.
#[tokio::test]
async fn one_of_a_batch_is_suppressed() {
    let (db, direct) = shop().await;
    let shop = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    for body in [SWALLOW, KEEP] {
        let mut requests = Vec::new();
        for pinned in [false, true, false] {
            requests.push(Request::new(&direct, Step::Cancel, pinned).await);
        }
        let when = format!("WHEN (OLD.id = '{}')", requests[1].order.id);
        meddle(&db.pool, "orders", "UPDATE", body, &when).await;
        let (a, b, c) = tokio::join!(
            requests[0].send(&shop),
            requests[1].send(&shop),
            requests[2].send(&shop)
        );
        leave(&db.pool).await;
        assert!(!a.unwrap().replayed && !c.unwrap().replayed);
        assert!(matches!(b, Err(Error::Suppressed { .. })), "{b:?}");
        let untouched = direct.order(requests[1].order.id).await.unwrap();
        assert_eq!(untouched, requests[1].order);
    }
    assert_books(&db.pool).await;
}

/// Rows that can be read and not written: an answer after a few statements, where a loop had no end.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_keeps_from_being_written_is_suppressed() {
    let (db, direct) = shop().await;
    with_role(&db.pool, async |role| {
        run(
            &db.pool,
            format!(
                "GRANT USAGE ON SCHEMA optilock TO {role};
                 GRANT ALL ON ALL TABLES IN SCHEMA optilock TO {role}"
            ),
        )
        .await;
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(4).connect_with(options).await.unwrap();
        let shop = PgInventory::new(pool);
        let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
        for table in ["orders", "products"] {
            run(
                &db.pool,
                format!(
                    "ALTER TABLE optilock.{table} ENABLE ROW LEVEL SECURITY;
                     CREATE POLICY readable ON optilock.{table} FOR SELECT USING (true)"
                ),
            )
            .await;
            for (step, pinned) in STEPS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
                if !writes(step, table) {
                    continue;
                }
                for shop in [&shop as &dyn Inventory, &batched] {
                    let request = Request::new(&direct, step, pinned).await;
                    let answer = timeout(Duration::from_secs(5), request.send(shop)).await;
                    let answer = answer.expect("an answer");
                    assert!(
                        matches!(&answer, Err(Error::Suppressed { .. })),
                        "{step:?}, {table}: {answer:?}"
                    );
                    let untouched = direct.order(request.order.id).await.unwrap();
                    assert_eq!(untouched, request.order, "{step:?}, {table}");
                }
            }
            run(
                &db.pool,
                format!(
                    "DROP POLICY readable ON optilock.{table};
                     ALTER TABLE optilock.{table} DISABLE ROW LEVEL SECURITY"
                ),
            )
            .await;
        }
    })
    .await;
    assert_books(&db.pool).await;
}

/// The row that uses an order's id up is no order, or is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_void_order_that_is_changed_is_not_stored() {
    let (db, _) = shop().await;
    let when = "WHEN (NEW.status = 4)";
    let body = "NEW.status := 0; RETURN NEW;";
    meddle(&db.pool, "orders", "INSERT", body, when).await;
    let proxy = Proxy::new(&db).await;
    let shop = PgInventory::new(proxy.pool(4).await).with_policy(QUICK);
    let request = cart(&[("pot", 10_000)]);
    proxy.trap(request.order_id().uuid().as_bytes(), Cut::Before);
    let before = stored(&db.pool).await;
    // Refused, after an attempt of which nothing is known; and the id could not be used up.
    let answer = shop.checkout(request).await;
    assert!(!proxy.armed());
    assert!(answer.unwrap_err().is_unknown());
    assert_eq!(stored(&db.pool).await, before);
    assert_books(&db.pool).await;
}
