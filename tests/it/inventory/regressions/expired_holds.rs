//! Backlogs of expired holds, and extensions of them.

use std::time::Duration;

use optilock::{
    inventory::{Adjustment, Checkout, Inventory, Line, PgInventory, Reserve, Strategy},
    sqlx::PgPool,
};
use tokio::task::JoinSet;

use crate::support::{
    db::{Db, Default, assert_balanced, deadlocks},
    goods::{add, cart, sku, units},
    strategies::STRATEGIES,
    triggers::run,
};

/// Stores expired holds of one pot each.
async fn add_expired_holds(pool: &PgPool, count: i64) {
    let holds = format!(
        "WITH reservation AS (INSERT INTO optilock.reservations (id, remaining)
             SELECT gen_random_uuid(), 1 FROM generate_series(1, {count}) RETURNING id),
         product AS (UPDATE optilock.products SET reserved = reserved + {count}, version = version + 1
             WHERE sku = 'pot' RETURNING version, stock),
         movement AS (INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
             SELECT 'pot', version, 4, 0, stock FROM product)
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, 'pot', 1, 1, now() - interval '1 hour' - random() * interval '1 day' FROM reservation"
    );
    run(pool, holds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_expires_the_holds_that_block_it() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1_000).await;
    add_expired_holds(&db.pool, 1_000).await;
    let broken = Adjustment::new(sku("pot"), -1_000, "broken").unwrap();
    let adjusted = shop.adjust_stock(broken).await.unwrap();
    assert_eq!((adjusted.stock.get(), adjusted.reserved.get()), (0, 0));
    assert_balanced(&db.pool).await;
}

/// A checkout of a pinned version expires holds in several transactions, one of which fails. The version changes
/// of the committed ones are no conflict.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_between_two_rounds_of_expiry_is_no_conflict() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", 2_000).await;
        add_expired_holds(&db.pool, 2_000).await;
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
        assert_balanced(&db.pool).await;
    }
}

/// There is enough stock for all carts in expired holds, which each checkout expires for itself and the others.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_carts_behind_expired_holds_are_all_sold() {
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
                let request = Reserve::new([(sku("mug"), units(1))]).unwrap();
                cart.with_reservation(shop.reserve(request).await.unwrap().id)
            } else {
                cart
            });
        }
        add_expired_holds(&db.pool, 200).await;
        let mut buyers = JoinSet::new();
        for cart in carts {
            let shop = shop.clone();
            buyers.spawn(async move { shop.checkout(cart).await.map(drop) });
        }
        for sold in buyers.join_all().await {
            sold.unwrap();
        }
        assert_balanced(&db.pool).await;
    }
}

/// A transaction that expires holds of several products one after the other does not wait for their extensions.
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_causes_no_deadlock() {
    let db = Db::with(Default::ReadCommitted, 24).await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 1_000).await;
    }
    let mut ids = Vec::new();
    for _ in 0..100 {
        let request = Reserve::new([(sku("mug"), units(5)), (sku("pot"), units(5))]).unwrap();
        let request = request.for_duration(Duration::from_micros(1));
        ids.push(shop.reserve(request).await.unwrap().id);
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
        for lines in [&[("pot", 900)], &[("mug", 900)]] {
            shop.checkout_in(&mut transaction, &cart(lines))
                .await
                .unwrap();
        }
        transaction.rollback().await.unwrap();
    }
    extending.join_all().await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_can_expire_at_infinity() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    for (at, live) in [("infinity", true), ("-infinity", false)] {
        let request = Reserve::new([(sku("pot"), units(2))]).unwrap();
        let id = shop.reserve(request).await.unwrap().id;
        let set =
            format!("UPDATE optilock.holds SET expires_at = '{at}' WHERE reservation_id = '{id}'");
        run(&db.pool, set).await;
        assert_eq!(shop.reservation(id).await.unwrap().is_live(), live, "{at}");
        let extended = shop.extend(id, Duration::from_secs(60)).await;
        assert_eq!(extended.is_ok(), live, "{at}: {extended:?}");
        let cart = cart(&[("pot", 2)]).with_reservation(id);
        shop.checkout(cart).await.unwrap();
    }
    assert_balanced(&db.pool).await;
}
