//! Triggers and policies of the host: a clear error, and nothing changes.

use optilock::inventory::{Inventory, PgInventory};

use super::{Ground, everything};
use crate::support::{
    db::{assert_balanced, pool_options, with_role},
    triggers::{add_trigger, drop_trigger, run},
};

/// Archives page by page until one is refused. Returns the code of that error.
async fn refused(shop: &PgInventory) -> Option<&'static str> {
    let mut position = Some(everything());
    for _ in 0..100 {
        match shop.archive(&position?, 100).await {
            Ok(page) => position = page.next,
            Err(error) => return Some(error.code()),
        }
    }
    panic!("it does not end")
}

#[tokio::test]
async fn a_write_that_a_trigger_changes_is_refused() {
    for (table, event, body) in [
        (
            "archived_tokens",
            "INSERT",
            "NEW.token := gen_random_uuid(); RETURN NEW;",
        ),
        ("archived_tokens", "INSERT", "RETURN NULL;"),
        (
            "orders",
            "UPDATE",
            "NEW.id := gen_random_uuid(); RETURN NEW;",
        ),
        (
            "orders",
            "UPDATE",
            "NEW.version := OLD.version; RETURN NEW;",
        ),
        ("orders", "UPDATE", "NEW.customer := 'ana'; RETURN NEW;"),
        ("orders", "UPDATE", "RETURN NULL;"),
        ("order_lines", "DELETE", "RETURN NULL;"),
        ("returns", "DELETE", "RETURN NULL;"),
        (
            "reservations",
            "UPDATE",
            "NEW.id := gen_random_uuid(); RETURN NEW;",
        ),
        (
            "reservations",
            "UPDATE",
            "NEW.idempotency_key := NEW.id::text; RETURN NEW;",
        ),
        ("holds", "DELETE", "RETURN NULL;"),
        ("movements", "DELETE", "RETURN NULL;"),
        ("movements", "UPDATE", "NEW.moved_at := now(); RETURN NEW;"),
        (
            "movements",
            "UPDATE",
            "NEW.transaction_id := 1; RETURN NEW;",
        ),
        ("movements", "UPDATE", "NEW.reason := 'closed'; RETURN NEW;"),
        ("movements", "UPDATE", "NEW.delta := OLD.delta; RETURN NEW;"),
    ] {
        let ground = Ground::new().await;
        let (shop, pool) = (&ground.shop, &ground.db.pool);
        let lost =
            optilock::inventory::Adjustment::new(crate::support::goods::sku("pot"), -1, "lost");
        shop.adjust_stock(lost.unwrap()).await.unwrap();
        shop.cancel(ground.pending, "test").await.unwrap();
        super::age(pool).await;
        add_trigger(pool, table, event, body, "").await;
        assert_eq!(refused(shop).await, Some("suppressed"), "{table} {body}");
        drop_trigger(pool).await;
        assert_eq!(refused(shop).await, None, "{table} {body}");
    }
}

/// A policy lets the role read the rows, and hides one kind of them from a lock, a change, a deletion or a read.
#[tokio::test]
async fn what_a_policy_hides_is_refused_or_stays() {
    for (table, policies) in [
        (
            "movements",
            "CREATE POLICY p ON optilock.movements FOR SELECT USING (true);
            CREATE POLICY q ON optilock.movements FOR DELETE USING (true)",
        ),
        (
            "movements",
            "CREATE POLICY p ON optilock.movements FOR SELECT USING (true);
            CREATE POLICY q ON optilock.movements FOR UPDATE USING (true)",
        ),
        (
            "orders",
            "CREATE POLICY p ON optilock.orders FOR SELECT USING (true)",
        ),
        (
            "reservations",
            "CREATE POLICY p ON optilock.reservations FOR SELECT USING (true)",
        ),
        (
            "order_lines",
            "CREATE POLICY p ON optilock.order_lines USING (sku <> 'mug')",
        ),
        (
            "order_lines",
            "CREATE POLICY p ON optilock.order_lines FOR SELECT USING (true)",
        ),
        (
            "returns",
            "CREATE POLICY p ON optilock.returns USING (reason <> 'late')",
        ),
        (
            "holds",
            "CREATE POLICY p ON optilock.holds USING (state <> 0)",
        ),
        (
            "holds",
            "CREATE POLICY p ON optilock.holds FOR SELECT USING (true)",
        ),
    ] {
        let ground = Ground::new().await;
        let pool = &ground.db.pool;
        with_role(pool, async |role| {
            let rights = format!(
                "GRANT USAGE ON SCHEMA optilock TO {role};
                 GRANT ALL ON ALL TABLES IN SCHEMA optilock TO {role};
                 ALTER TABLE optilock.{table} ENABLE ROW LEVEL SECURITY; {policies}"
            );
            run(pool, rights).await;
            let options = ground
                .db
                .database
                .options()
                .username(role)
                .password("secret");
            let of_role = pool_options(2).connect_with(options).await.unwrap();
            let code = refused(&PgInventory::new(of_role)).await;
            assert!(
                matches!(code, None | Some("suppressed")),
                "{policies}: {code:?}"
            );
            // Rows that can be read and not locked are no rows that another process has removed.
            if policies.contains("ON optilock.movements FOR DELETE") {
                assert_eq!(code, Some("suppressed"), "{policies}");
            }
            assert_balanced(pool).await;
        })
        .await;
    }
}
