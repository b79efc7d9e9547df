//! Backlogs, triggers and clean-ups that met more than was planned for.

use std::time::Duration;

use optilock::{
    inventory::{Adjustment, Checkout, Error, Inventory, Line, PgInventory, Reserve, Strategy},
    sqlx::{self, AssertSqlSafe, Executor, PgPool},
};

use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books, deadlocks},
    support::goods::{add, cart, sku, units},
};

async fn run(pool: &PgPool, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    pool.execute(sql).await.unwrap();
}

/// Expired holds of one pot each.
async fn backlog(pool: &PgPool, count: i64) {
    let holds = format!(
        "WITH r AS (INSERT INTO optilock.reservations (id, remaining)
             SELECT gen_random_uuid(), 1 FROM generate_series(1, {count}) RETURNING id),
         p AS (UPDATE optilock.products SET reserved = reserved + {count}, version = version + 1
             WHERE sku = 'pot' RETURNING version, stock),
         m AS (INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
             SELECT 'pot', version, 4, 0, stock FROM p)
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, 'pot', 1, 1, now() - interval '1 hour' - random() * interval '1 day' FROM r"
    );
    run(pool, &holds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_behind_expired_holds_is_made() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1_000).await;
    backlog(&db.pool, 1_000).await;
    let broken = Adjustment::new(sku("pot"), -1_000, "broken").unwrap();
    let adjusted = shop.adjust_stock(broken).await.unwrap();
    assert_eq!((adjusted.stock.get(), adjusted.reserved.get()), (0, 0));
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refused_orders_keep_no_other_from_being_cancelled() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 10_000).await;
    for number in 0..600 {
        let customer = if number % 4 == 0 { "bad" } else { "good" };
        let cart = cart(&[("pot", 1)]).with_customer(customer);
        shop.checkout(cart).await.unwrap();
    }
    run(
        &db.pool,
        "ALTER TABLE optilock.orders ADD CONSTRAINT hosts CHECK (customer <> 'bad' OR status <> 3)",
    )
    .await;
    let done = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((done.orders, done.refused), (450, 150));
    assert_books(&db.pool).await;
}

/// Also where the host's trigger says that it is a conflict, every time.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_always_conflicts_is_refused() {
    let db = Db::new().await;
    let policy = optilock::RetryPolicy::new()
        .with_max_attempts(2)
        .with_base_delay(Duration::ZERO);
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    add(&shop, "pot", 100).await;
    for customer in ["ana", "bad", "eva"] {
        let cart = cart(&[("pot", 1)]).with_customer(customer);
        shop.checkout(cart).await.unwrap();
    }
    run(
        &db.pool,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'never' USING ERRCODE = '40001'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON optilock.orders FOR EACH ROW
             WHEN (NEW.customer = 'bad') EXECUTE FUNCTION public.refuse()",
    )
    .await;
    let done = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((done.orders, done.refused), (2, 1));
}

/// What a failed attempt had committed counts as the call's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_between_two_pieces_is_no_conflict() {
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", 2_000).await;
        backlog(&db.pool, 2_000).await;
        let pot = shop.product(&sku("pot")).await.unwrap();
        run(
            &db.pool,
            "CREATE SEQUENCE public.n; CREATE FUNCTION public.once() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF nextval('public.n') = 3 THEN RAISE EXCEPTION 'once' USING ERRCODE = '40001'; END IF;
                 RETURN NULL; END $$;
             CREATE TRIGGER once AFTER UPDATE ON optilock.holds FOR EACH STATEMENT
                 EXECUTE FUNCTION public.once()",
        )
        .await;
        let line = Line::new(sku("pot"), units(2_000)).expecting_version(pot.version);
        shop.checkout(Checkout::new([line]).unwrap()).await.unwrap();
        assert_books(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_whose_product_lost_its_reserved_units_is_suppressed() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let held = Reserve::new([(sku("pot"), units(4))]).unwrap();
    shop.reserve(held).await.unwrap();
    run(
        &db.pool,
        "CREATE FUNCTION public.alter_it() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN NEW.reserved := 0; RETURN NEW; END $$;
         CREATE TRIGGER a BEFORE UPDATE ON optilock.products FOR EACH ROW
             EXECUTE FUNCTION public.alter_it()",
    )
    .await;
    let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Suppressed { table: Some(table), .. } if table == "optilock.products"),
        "{refused:?}"
    );
    assert_books(&db.pool).await;
}

/// Enough for all of them, in expired holds that each of them ends for itself and the others.
#[tokio::test(flavor = "multi_thread")]
async fn carts_behind_expired_holds_are_all_sold() {
    for (strategy, reserved) in [
        (Strategy::Guarded, false),
        (Strategy::Guarded, true),
        (Strategy::Optimistic, true),
    ] {
        let db = Db::with(Default::ReadCommitted, 32).await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "mug", 1_000).await;
        add(&shop, "pot", 200).await;
        let mut carts = Vec::new();
        for _ in 0..200 {
            let cart = cart(&[("mug", 1), ("pot", 1)]);
            carts.push(if reserved {
                let held = Reserve::new([(sku("mug"), units(1))]).unwrap();
                cart.with_reservation(shop.reserve(held).await.unwrap().id)
            } else {
                cart
            });
        }
        backlog(&db.pool, 200).await;
        let mut buyers = JoinSet::new();
        for cart in carts {
            let shop = shop.clone();
            buyers.spawn(async move { shop.checkout(cart).await.map(drop) });
        }
        for sold in buyers.join_all().await {
            sold.unwrap();
        }
        assert_books(&db.pool).await;
    }
}

/// A transaction that ends expired holds of several products one after the other waits for no extension of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_in_no_ones_way() {
    let db = Db::with(Default::ReadCommitted, 24).await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 1_000).await;
    }
    let mut ids = Vec::new();
    for _ in 0..100 {
        let held = Reserve::new([(sku("mug"), units(5)), (sku("pot"), units(5))]).unwrap();
        let held = held.for_duration(Duration::from_micros(1));
        ids.push(shop.reserve(held).await.unwrap().id);
    }
    let mut extending = JoinSet::new();
    for chunk in ids.chunks(25) {
        let (shop, ids) = (shop.clone(), chunk.to_vec());
        extending.spawn(async move {
            for id in ids.iter().cycle().take(200) {
                let refused = shop.extend(*id, Duration::from_secs(60)).await.unwrap_err();
                assert_eq!(refused.code(), "reservation-closed", "{refused:?}");
            }
        });
    }
    for _ in 0..20 {
        let mut transaction = db.pool.begin().await.unwrap();
        for part in [&[("pot", 900)], &[("mug", 900)]] {
            shop.checkout_in(&mut transaction, &cart(part))
                .await
                .unwrap();
        }
        transaction.rollback().await.unwrap();
    }
    extending.join_all().await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_never_expire_are_read() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    for (at, live) in [("infinity", true), ("-infinity", false)] {
        let held = Reserve::new([(sku("pot"), units(2))]).unwrap();
        let id = shop.reserve(held).await.unwrap().id;
        run(
            &db.pool,
            &format!("UPDATE optilock.holds SET expires_at = '{at}' WHERE reservation_id = '{id}'"),
        )
        .await;
        assert_eq!(shop.reservation(id).await.unwrap().is_live(), live, "{at}");
        let extended = shop.extend(id, Duration::from_secs(60)).await;
        assert_eq!(extended.is_ok(), live, "{at}: {extended:?}");
        let cart = cart(&[("pot", 2)]).with_reservation(id);
        shop.checkout(cart).await.unwrap();
    }
    assert_books(&db.pool).await;
}

/// What the guard has compared is what is sold.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_at_a_price_that_a_trigger_altered_is_suppressed() {
    for change in ["NEW.price := 2", "NEW.currency := 'USD'"] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        add(&shop, "pot", 9).await;
        let trigger = format!(
            "CREATE FUNCTION public.alter_it() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN {change}; RETURN NEW; END $$;
             CREATE TRIGGER a BEFORE UPDATE ON optilock.products FOR EACH ROW
                 EXECUTE FUNCTION public.alter_it()"
        );
        run(&db.pool, &trigger).await;
        let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        assert_eq!(refused.code(), "suppressed", "{change}: {refused:?}");
    }
}
