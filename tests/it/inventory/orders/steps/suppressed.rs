//! Triggers and policies that swallow a part of a step or alter it.

use std::time::Duration;

use optilock::inventory::{BatchOptions, BatchedInventory, ErrorKind, Inventory, PgInventory};

use tokio::time::timeout;

use super::request::{QUICK, Request, STEPS, Step, shop};
use crate::{
    support::db::{assert_balanced, pool_options, with_role},
    support::goods::cart,
    support::proxy::{Cut, Proxy},
    support::stored::stored,
    support::triggers::{KEEP, SWALLOW, add_trigger, drop_trigger, run},
};

/// Table, event and body of the trigger.
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

/// Returns true if the step writes the table.
fn writes(step: Step, table: &str) -> bool {
    match step {
        Step::Pay | Step::Fail => table == "orders",
        Step::Cancel | Step::Revive => ["orders", "products", "movements"].contains(&table),
        Step::Return => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_or_altered_step_is_refused() {
    let (db, direct) = shop().await;
    let batched = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    let mut cells = 0;
    for (table, event, body) in TRIGGERS {
        for shop in [&direct as &dyn Inventory, &batched] {
            for step in STEPS.into_iter().filter(|step| writes(*step, table)) {
                let request = Request::new(&direct, step, false).await;
                add_trigger(&db.pool, table, event, body, "").await;
                let before = stored(&db.pool).await;
                let answer = request.send(shop).await;
                drop_trigger(&db.pool).await;
                let cell = format!("{step:?}, {event} of {table}: {body} {answer:?}");
                assert_eq!(stored(&db.pool).await, before, "{cell}");
                let error = answer.expect_err(&cell);
                assert_eq!(error.kind(), ErrorKind::Suppressed, "{cell}");
                let id = request.order.id.to_string();
                let facts = (error.entity(), error.id());
                assert_eq!(facts, (Some("order"), Some(&*id)), "{cell}");
                let named = error.table();
                // A missing row has several possible causes.
                let is_named =
                    named.is_none() && body == SWALLOW || named == Some(&*table.to_string());
                assert!(is_named, "{cell}");
                // Without the trigger, the step succeeds.
                assert!(!request.send(shop).await.unwrap().replayed);
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * (4 * 5 + 3 * 3 + 2 * 3 + 3 + 2));
    assert_balanced(&db.pool).await;
}

/// A trigger swallows the write of one order of the batch.
#[tokio::test]
async fn only_the_suppressed_cancellation_of_a_batch_fails() {
    let (db, direct) = shop().await;
    let shop = BatchedInventory::new(direct.clone(), BatchOptions::new().always());
    for body in [SWALLOW, KEEP] {
        let mut requests = Vec::new();
        for pinned in [false, true, false] {
            requests.push(Request::new(&direct, Step::Cancel, pinned).await);
        }
        let when = format!("WHEN (OLD.id = '{}')", requests[1].order.id);
        add_trigger(&db.pool, "orders", "UPDATE", body, &when).await;
        let (first, second, third) = tokio::join!(
            requests[0].send(&shop),
            requests[1].send(&shop),
            requests[2].send(&shop)
        );
        drop_trigger(&db.pool).await;
        assert!(!first.unwrap().replayed && !third.unwrap().replayed);
        let second = second.unwrap_err();
        assert_eq!(second.kind(), ErrorKind::Suppressed, "{second:?}");
        let unchanged = direct.order(requests[1].order.id).await.unwrap();
        assert_eq!(unchanged, requests[1].order);
    }
    assert_balanced(&db.pool).await;
}

/// Asserts that each step that writes the table is refused in time and leaves its order unchanged.
async fn assert_suppressed(direct: &PgInventory, shop: &dyn Inventory, table: &str) {
    for (step, pinned) in STEPS
        .into_iter()
        .flat_map(|step| [(step, false), (step, true)])
    {
        if !writes(step, table) {
            continue;
        }
        let request = Request::new(direct, step, pinned).await;
        let answer = timeout(Duration::from_secs(5), request.send(shop)).await;
        let refused = answer.expect("an answer").unwrap_err();
        assert_eq!(
            refused.kind(),
            ErrorKind::Suppressed,
            "{step:?}, {table}: {refused:?}"
        );
        let unchanged = direct.order(request.order.id).await.unwrap();
        assert_eq!(unchanged, request.order, "{step:?}, {table}");
    }
}

/// The policy lets the role read the rows but not write them. The step must end with an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_refused_if_a_row_policy_hides_its_write() {
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
            for shop in [&shop as &dyn Inventory, &batched] {
                assert_suppressed(&direct, shop, table).await;
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
    assert_balanced(&db.pool).await;
}

/// A trigger alters the void order, which blocks the id of a refused checkout.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_void_order_is_not_stored() {
    let (db, _) = shop().await;
    let when = "WHEN (NEW.status = 4)";
    let body = "NEW.status := 0; RETURN NEW;";
    add_trigger(&db.pool, "orders", "INSERT", body, when).await;
    let proxy = Proxy::new(&db).await;
    let shop = PgInventory::new(proxy.pool(4).await).with_policy(QUICK);
    let request = cart(&[("pot", 10_000)]);
    proxy.trap(request.order_id().uuid().as_bytes(), Cut::Before);
    let before = stored(&db.pool).await;
    // The first attempt has an unknown outcome, and the void order is refused.
    let answer = shop.checkout(request).await;
    assert!(!proxy.armed());
    assert!(answer.unwrap_err().is_unknown());
    assert_eq!(stored(&db.pool).await, before);
    assert_balanced(&db.pool).await;
}
