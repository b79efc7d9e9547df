//! What seldom happens: held stock, swallowed writes, the last version, a server that stops writing.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
};

use optilock::{
    RetryPolicy, Version,
    inventory::{Adjustment, Error, Inventory, PgInventory, Reserve, Strategy},
    sqlx,
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, assert_books, pool_options},
    support::goods::{add, cart, new_product, sku, stock, stock_of, units},
};

const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

/// Units held by reservations are not sold, taken away, or counted away.
#[tokio::test(flavor = "multi_thread")]
async fn held_stock() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    let lines = [(sku("pot"), units(3)), (sku("mug"), units(3))];
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap();
    let reserved = Version::new(2).unwrap();
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 3)], vec![("mug", 1), ("pot", 3)]] {
            let refused = shop.checkout(cart(&lines)).await.unwrap_err();
            assert_eq!(
                refused.to_string(),
                "insufficient stock: 3 of pot requested, 2 available",
                "{strategy:?}"
            );
        }
    }
    let theft = Adjustment::new(sku("pot"), -3, "theft").unwrap();
    let refused = shop.adjust_stock(theft).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "insufficient stock: 3 of pot requested, 2 available"
    );
    let refused = shop
        .count_stock(&sku("pot"), reserved, stock(2), "day")
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "pot can't be counted at 2: 3 are reserved"
    );
    assert_eq!((refused.code(), refused.http_status()), ("stock-held", 409));
    shop.retire_product(&sku("pot"), reserved).await.unwrap();
    let refused = shop.add_product(new_product("pot", 2)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::StockHeld {
                counted: 2,
                reserved: 3,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(
        shop.add_product(new_product("pot", 4))
            .await
            .unwrap()
            .available(),
        1
    );
    shop.checkout(cart(&[("pot", 1), ("mug", 2)]))
        .await
        .unwrap();
    assert_books(&db.pool).await;
}

/// A trigger that swallows writes is neither a conflict nor a success.
#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_write() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let product = add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    sqlx::raw_sql(
        "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.swallow()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 1)]] {
            let error = shop.checkout(cart(&lines)).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Suppressed {
                        entity: "order",
                        ..
                    }
                ),
                "{strategy:?}: {error:?}"
            );
            assert_eq!((error.code(), error.http_status()), ("suppressed", 500));
        }
    }
    let errors = [
        shop.update_product(&product).await.unwrap_err(),
        shop.count_stock(&sku("pot"), Version::FIRST, stock(1), "day")
            .await
            .unwrap_err(),
        shop.adjust_stock(Adjustment::new(sku("pot"), 1, "delivery").unwrap())
            .await
            .unwrap_err(),
        shop.retire_product(&sku("pot"), Version::FIRST)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, Error::Suppressed { entity: "product", id, .. } if id == "pot"),
            "{error:?}"
        );
    }
    assert_books(&db.pool).await;
}

/// After the last version there is none: refused, and never wrapped.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_version() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    sqlx::query("UPDATE optilock.products SET version = 9223372036854775807")
        .execute(&db.pool)
        .await
        .unwrap();
    for strategy in STRATEGIES {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 1)]] {
            let refused = shop.checkout(cart(&lines)).await.unwrap_err();
            assert!(
                refused.to_string().ends_with("beyond the largest number"),
                "{strategy:?}: {refused:?}"
            );
        }
    }
    let last = Version::new(i64::MAX).unwrap();
    assert_eq!(
        shop.product_at(&sku("pot"), last).await.unwrap().stock,
        stock(5)
    );
    assert!(shop.retire_product(&sku("pot"), last).await.is_err());
    assert_eq!(stock_of(&shop, "pot").await, 5);
}

/// After a failover the old connections lead to a server that only reads: busy, and they must go.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads() {
    let db = Db::new().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    let options = db
        .database
        .options()
        .options([("default_transaction_read_only", "on")]);
    let pool = pool_options(1).connect_with(options).await.unwrap();
    let policy = RetryPolicy::new()
        .with_max_attempts(2)
        .with_max_delay(std::time::Duration::ZERO);
    for strategy in STRATEGIES {
        let shop = PgInventory::new(pool.clone())
            .with_strategy(strategy)
            .with_policy(policy.clone());
        let backend = "SELECT pg_backend_pid()";
        let before: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        let busy = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        assert!(
            busy.is_busy() && busy.http_status() == 503,
            "{strategy:?}: {busy:?}"
        );
        let after: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        assert_ne!(before, after, "{strategy:?}: the connection came back");
    }
    assert_books(&db.pool).await;
}

/// Backends are terminated at random while buyers buy. Every order that was acknowledged is there,
/// and every order that is there was acknowledged or called unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_killed_backends() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let pool = pool_options(8)
            .connect_with(db.database.options().application_name("victim"))
            .await
            .unwrap();
        let shop = PgInventory::new(pool).with_strategy(strategy);
        let direct = PgInventory::new(db.pool.clone());
        for name in ["pot", "mug"] {
            add(&direct, name, 100_000).await;
        }
        let unknown = Arc::new(Mutex::new(HashSet::new()));
        let answers = Arc::new(AtomicI64::new(0));
        let mut buyers = JoinSet::new();
        for buyer in 0..8 {
            let (shop, unknown, answers) = (shop.clone(), unknown.clone(), answers.clone());
            buyers.spawn(async move {
                let mut acknowledged = Vec::new();
                for round in 0..60 {
                    let request = if (buyer + round) % 2 == 0 {
                        cart(&[("pot", 1)])
                    } else {
                        cart(&[("pot", 1), ("mug", 1)])
                    };
                    let id = request.order_id();
                    let answer = shop.checkout(request).await;
                    answers.fetch_add(1, SeqCst);
                    match answer {
                        Ok(order) => acknowledged.push(order.id),
                        Err(error) if error.is_unknown() => _ = unknown.lock().unwrap().insert(id),
                        Err(error) => assert!(error.is_busy(), "{strategy:?}: {error:?}"),
                    }
                }
                acknowledged
            });
        }
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'victim' ORDER BY random() LIMIT 1) v";
        let mut killed = 0_i64;
        let mut acknowledged = HashSet::new();
        while !buyers.is_empty() {
            while let Some(buyer) = buyers.try_join_next() {
                acknowledged.extend(buyer.unwrap());
            }
            // One for every few answers: more, and nobody would ever get one.
            if answers.load(SeqCst) < 5 * killed {
                tokio::task::yield_now().await;
                continue;
            }
            killed += sqlx::query_scalar::<_, i64>(kill)
                .fetch_one(&db.pool)
                .await
                .unwrap();
        }
        assert!(killed > 20, "{strategy:?}: only {killed} were killed");
        assert!(!acknowledged.is_empty());
        let stored: Vec<uuid::Uuid> =
            sqlx::query_scalar("SELECT id FROM optilock.orders WHERE status <> 4")
                .fetch_all(&db.pool)
                .await
                .unwrap();
        let stored: HashSet<_> = stored
            .into_iter()
            .map(optilock::inventory::OrderId::from)
            .collect();
        assert!(
            acknowledged.is_subset(&stored),
            "{strategy:?}: an acknowledged order is gone"
        );
        let unknown = std::mem::take(&mut *unknown.lock().unwrap());
        let unexplained: Vec<_> = stored
            .difference(&acknowledged)
            .filter(|id| !unknown.contains(*id))
            .collect();
        assert!(unexplained.is_empty(), "{strategy:?}: {unexplained:?}");
        assert_books(&db.pool).await;
    }
}
