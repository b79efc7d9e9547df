//! Expired holds stop no buyer, however many there are, and what a hold covered is sold once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BoxError, Checkout, Error, HoldState, Inventory, Line, MemoryInventory,
        OnAccepted, PgInventory, ReservationId, Reserve, Strategy,
    },
    postgres::transact,
    sqlx::{self, AssertSqlSafe, Executor, PgConnection, PgPool},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books, deadlocks, pool_options, with_role},
    support::goods::{add, cart, sku, units},
};

const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

struct Nothing;

#[async_trait]
impl OnAccepted for Nothing {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Expired holds of one unit each, every one of a reservation of its own.
async fn backlog(pool: &PgPool, name: &str, count: i64) {
    let sql = format!(
        "WITH r AS (INSERT INTO optilock.reservations (id, remaining)
             SELECT gen_random_uuid(), 1 FROM generate_series(1, {count}) RETURNING id)
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, '{name}', 1, 1, now() - interval '1 hour' - random() * interval '1 day' FROM r;
         UPDATE optilock.products SET reserved = reserved + {count} WHERE sku = '{name}';
         ANALYZE optilock.holds"
    );
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap();
}

async fn expired_left(pool: &PgPool) -> i64 {
    let left = "SELECT count(*) FROM optilock.holds WHERE state = 0 AND expires_at <= now()";
    sqlx::query_scalar(left).fetch_one(pool).await.unwrap()
}

/// Makes all holds that there are as if they had been made two hours ago.
async fn age(pool: &PgPool) {
    let age = "UPDATE optilock.holds SET expires_at = expires_at - interval '60 days'";
    pool.execute(age).await.unwrap();
}

async fn reserve(shop: &dyn Inventory, lines: &[(&str, i64)]) -> ReservationId {
    let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap().id
}

async fn buyers(shop: &PgInventory, name: &'static str, count: usize) -> Duration {
    let began = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        let shop = shop.clone();
        crowd.spawn(async move { shop.checkout(cart(&[(name, 1)])).await });
    }
    for answer in crowd.join_all().await {
        answer.unwrap();
    }
    began.elapsed()
}

async fn a_crowd_behind(backlog_of: i64, count: usize, pool: u32, limit: Option<Duration>) {
    for strategy in STRATEGIES {
        let db = Db::with(Default::ReadCommitted, pool).await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", backlog_of + 5).await;
        let live = reserve(&shop, &[("pot", 5)]).await;
        backlog(&db.pool, "pot", backlog_of).await;
        // The shop has its connections before the crowd comes; and what that takes without a backlog.
        add(&shop, "mug", 1_000).await;
        let usual = buyers(&shop, "mug", count).await;
        println!("{strategy:?}, none expired: {count} sold in {usual:?}");
        let took = buyers(&shop, "pot", count).await;
        println!("{strategy:?}, {backlog_of} expired: {count} sold in {took:?}");
        // The bar is for the strategies that lock: the third reads first, and again.
        if let Some(limit) = limit.filter(|_| strategy != Strategy::Optimistic) {
            assert!(took <= limit, "{strategy:?} took {took:?}");
        }
        let live = shop.reservation(live).await.unwrap();
        assert_eq!(
            (live.holds[0].held, live.holds[0].state),
            (5, HoldState::Held)
        );
        assert!(expired_left(&db.pool).await >= backlog_of - 40 * 256);
        assert_books(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_stop_no_buyer() {
    a_crowd_behind(3_000, 64, 16, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the full size"]
async fn a_hundred_thousand_stop_no_buyer() {
    a_crowd_behind(100_000, 256, 40, Some(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the full size"]
async fn half_a_million_stop_no_buyer() {
    a_crowd_behind(500_000, 256, 40, Some(Duration::from_secs(1))).await;
}

/// Every transaction ends a bounded number of them, so that a limit for statements stops none.
async fn under_a_statement_timeout(backlog_of: i64, timeout: &str) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", backlog_of).await;
    backlog(&db.pool, "pot", backlog_of).await;
    with_role(&db.pool, async |role| {
        let sql = format!(
            "ALTER ROLE {role} SET statement_timeout = '{timeout}'; GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock TO {role}"
        );
        db.pool
            .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
            .await
            .unwrap();
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(40).connect_with(options).await.unwrap();
        let shop = PgInventory::new(pool.clone());
        let took = buyers(&shop, "pot", 256).await;
        println!("{backlog_of} expired, limit {timeout}: 256 sold in {took:?}");
        // More than a piece, and at least a part of it is ended by each call.
        let before = expired_left(&pool).await;
        let began = Instant::now();
        let asked = (backlog_of / 2).min(5_000);
        match shop.checkout(cart(&[("pot", asked)])).await {
            Ok(order) => assert_eq!(order.lines[0].quantity.get(), asked),
            Err(Error::Busy { retry_after, .. }) => assert!(retry_after.is_some()),
            Err(other) => panic!("{other:?}"),
        }
        println!("a cart of {asked} after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(expired_left(&pool).await < before);
        pool.close().await;
    })
    .await;
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_for_statements_stops_no_buyer() {
    under_a_statement_timeout(3_000, "1s").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the full size"]
async fn a_limit_for_statements_stops_no_buyer_of_half_a_million() {
    under_a_statement_timeout(200_000, "2s").await;
    under_a_statement_timeout(500_000, "2s").await;
}

/// A cart that needs more holds than one transaction ends is sold all the same: by a transaction each, and
/// in one of the host's.
#[tokio::test]
async fn a_cart_that_needs_many_pieces_is_sold() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 3_000).await;
        backlog(&db.pool, name, 3_000).await;
    }
    shop.checkout(cart(&[("mug", 600), ("pot", 1)]))
        .await
        .unwrap();
    let held: Vec<i64> = sqlx::query_scalar("SELECT reserved FROM optilock.products ORDER BY sku")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    // Of what is not short no more is ended.
    assert_eq!(held[1], 3_000 - 128);
    assert!((2_000..=2_400).contains(&held[0]), "{held:?}");
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        shop.checkout_in(tx, &cart(&[("mug", 1_500)])).await
    })
    .await
    .unwrap();
    let lines = [(sku("pot"), units(1_000))];
    shop.reserve(Reserve::new(lines).unwrap()).await.unwrap();
    transact(&db.pool, &RetryPolicy::new(), async |tx| {
        let lines = [(sku("pot"), units(1_500))];
        shop.reserve_in(tx, &Reserve::new(lines).unwrap()).await
    })
    .await
    .unwrap();
    assert_books(&db.pool).await;
}

/// Without time for it the answer is that the shop is busy; what was ended stays ended, so that the next
/// call gets further.
#[tokio::test]
async fn without_time_it_is_busy_and_gets_further() {
    let db = Db::new().await;
    let policy = RetryPolicy::new().with_deadline(Some(Duration::from_nanos(1)));
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    add(&shop, "pot", 600).await;
    backlog(&db.pool, "pot", 600).await;
    let request = cart(&[("pot", 600)]);
    for left in [344, 88] {
        match shop.checkout(request.clone()).await {
            Err(Error::Busy {
                retry_after: Some(_),
                ..
            }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(expired_left(&db.pool).await, left);
    }
    shop.checkout(request).await.unwrap();
    assert_books(&db.pool).await;
}

/// The expiry of holds by the very call that expects a version is nobody else's change.
#[tokio::test]
async fn the_expiry_of_the_call_itself_is_no_conflict() {
    let expecting = |name: &str, count, version| {
        let line = Line::new(sku(name), units(count));
        line.expecting_version(optilock::Version::new(version).unwrap())
    };
    for lines in [1, 2] {
        let request = || {
            let mut all = vec![expecting("pot", 3, 2)];
            if lines == 2 {
                all.push(expecting("mug", 1, 1));
            }
            Checkout::new(all).unwrap()
        };
        let ready = async |shop: &dyn Inventory, expires| {
            add(shop, "pot", 3).await;
            add(shop, "mug", 3).await;
            let held = Reserve::new([(sku("pot"), units(3))]).unwrap();
            let held = held.for_duration(expires);
            shop.reserve(held).await.unwrap();
        };
        for strategy in STRATEGIES {
            for hook in [false, true] {
                let db = Db::new().await;
                let mut shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
                if hook {
                    shop = shop.with_hook(Arc::new(Nothing));
                }
                ready(&shop, Duration::from_secs(9)).await;
                age(&db.pool).await;
                let order = shop.checkout(request()).await;
                assert!(order.is_ok(), "{strategy:?} {hook}: {order:?}");
                assert_eq!(shop.product(&sku("pot")).await.unwrap().version.get(), 4);
                let stale = shop.checkout(request()).await.unwrap_err();
                assert!(stale.to_string().contains("expected version"), "{stale}");
                assert_books(&db.pool).await;

                let db = Db::new().await;
                let mut shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
                if hook {
                    shop = shop.with_hook(Arc::new(Nothing));
                }
                ready(&shop, Duration::from_secs(9)).await;
                age(&db.pool).await;
                let request = request();
                transact(&db.pool, &RetryPolicy::new(), async |tx| {
                    shop.checkout_in(tx, &request).await
                })
                .await
                .unwrap();
                assert_books(&db.pool).await;
            }
        }
        let memory = MemoryInventory::new();
        ready(&memory, Duration::from_micros(1)).await;
        memory.checkout(request()).await.unwrap();
        assert_eq!(memory.product(&sku("pot")).await.unwrap().version.get(), 4);
    }
}

/// A key, a hold that has expired, and a strategy that reads first.
#[tokio::test]
async fn a_key_hides_no_expired_hold() {
    for lines in [&[("pot", 2)][..], &[("mug", 1), ("pot", 2)]] {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Optimistic);
        add(&shop, "mug", 2).await;
        add(&shop, "pot", 2).await;
        reserve(&shop, &[("pot", 2)]).await;
        age(&db.pool).await;
        let request = cart(lines).with_idempotency_key("key");
        shop.checkout(request).await.unwrap();
        assert_books(&db.pool).await;
    }
}

/// An expired reservation was sold to three buyers, one that was taken in part to two.
#[tokio::test]
async fn what_a_hold_covered_is_sold_once() {
    let db = Db::new().await;
    let pg = PgInventory::new(db.pool.clone());
    let memory = MemoryInventory::new();
    for (shop, is_pg) in [(&pg as &dyn Inventory, true), (&memory, false)] {
        add(shop, "pot", 20).await;
        add(shop, "mug", 20).await;
        let expired = async |lines: &[(&str, i64)]| {
            let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
            let held = Reserve::new(lines).unwrap();
            let held = if is_pg {
                held
            } else {
                held.for_duration(Duration::from_micros(1))
            };
            let id = shop.reserve(held).await.unwrap().id;
            if is_pg {
                age(&db.pool).await;
            }
            shop.cleanup_reservations().await.unwrap();
            id
        };
        let from =
            async |id, lines: &[(&str, i64)]| shop.checkout(cart(lines).with_reservation(id)).await;
        let closed = |answer: Result<_, Error>| match answer {
            Err(Error::ReservationClosed { state, .. }) => state,
            other => panic!("{other:?}"),
        };
        // All of it, expired, once.
        let id = expired(&[("pot", 3), ("mug", 1)]).await;
        from(id, &[("pot", 3), ("mug", 1)]).await.unwrap();
        assert_eq!(closed(from(id, &[("pot", 3)]).await), HoldState::Consumed);
        // A part, and the rest later; and then no more.
        let id = expired(&[("pot", 3)]).await;
        from(id, &[("pot", 2)]).await.unwrap();
        let hold = shop.reservation(id).await.unwrap().holds.remove(0);
        assert_eq!((hold.held, hold.state), (1, HoldState::Expired));
        from(id, &[("pot", 1)]).await.unwrap();
        assert_eq!(closed(from(id, &[("pot", 1)]).await), HoldState::Consumed);
        // Released after it had expired.
        let id = expired(&[("pot", 3)]).await;
        shop.release(id).await.unwrap();
        assert_eq!(closed(from(id, &[("pot", 1)]).await), HoldState::Released);
        shop.release(id).await.unwrap();
        let product = shop.product(&sku("pot")).await.unwrap();
        assert_eq!((product.stock.get(), product.reserved.get()), (14, 0));
    }
    let remaining = "SELECT count(*) FROM optilock.reservations WHERE remaining <> 0";
    let left: i64 = sqlx::query_scalar(remaining)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert_books(&db.pool).await;
}

/// At the same time, too.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_checkouts_from_one_reservation_one_is_made() {
    for default in [Default::ReadCommitted, Default::Serializable] {
        for expired in [false, true] {
            let db = Db::with(default, 16).await;
            let shop = PgInventory::new(db.pool.clone());
            add(&shop, "pot", 100).await;
            let id = reserve(&shop, &[("pot", 3)]).await;
            if expired {
                age(&db.pool).await;
                shop.cleanup_reservations().await.unwrap();
            }
            let mut crowd = JoinSet::new();
            for _ in 0..16 {
                let shop = shop.clone();
                crowd.spawn(async move {
                    let request = cart(&[("pot", 3)]).with_reservation(id);
                    shop.checkout(request).await
                });
            }
            let answers = crowd.join_all().await;
            let made = answers.iter().filter(|answer| answer.is_ok()).count();
            assert_eq!(made, 1, "{default:?} {expired} {answers:?}");
            assert_books(&db.pool).await;
        }
    }
}

#[tokio::test]
async fn paused_products_are_sold_to_their_reservations_only() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let name = format!("pot-{strategy:?}");
        let name = name.as_str();
        add(&shop, name, 9).await;
        add(&shop, &format!("{name}-2"), 9).await;
        let (all, part) = (
            reserve(&shop, &[(name, 2)]).await,
            reserve(&shop, &[(name, 2)]).await,
        );
        let pause = "UPDATE optilock.products SET paused = true WHERE sku = $1";
        sqlx::query(pause)
            .bind(name)
            .execute(&db.pool)
            .await
            .unwrap();
        let paused = |answer: Error| matches!(answer, Error::ProductPaused { .. });
        let other = format!("{name}-2");
        assert!(paused(shop.checkout(cart(&[(name, 1)])).await.unwrap_err()));
        let two = cart(&[(name, 1), (&other, 1)]);
        assert!(paused(shop.checkout(two).await.unwrap_err()));
        let held = Reserve::new([(sku(name), units(1))]).unwrap();
        assert!(paused(shop.reserve(held).await.unwrap_err()));
        let more = cart(&[(name, 3)]).with_reservation(part);
        assert!(paused(shop.checkout(more).await.unwrap_err()));
        shop.checkout(cart(&[(name, 2)]).with_reservation(all))
            .await
            .unwrap();
        shop.release(part).await.unwrap();
    }
    assert_books(&db.pool).await;
}

/// Two reservations over the same products, taken in carts of other products, with a hook or locks, while
/// others release, extend and expire.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_a_circle() {
    let rounds = std::env::var("OPTILOCK_RESERVATION_OPERATIONS");
    let rounds: u32 = rounds.map_or(60, |it| it.parse().unwrap());
    let db = Db::with(Default::ReadCommitted, 16).await;
    let plain = PgInventory::new(db.pool.clone());
    let names = ["a", "b", "c", "d"];
    for name in names {
        add(&plain, name, 1_000_000).await;
    }
    let mut crowd = JoinSet::new();
    for worker in 0..16_u32 {
        let plain = plain.clone();
        let pool = db.pool.clone();
        crowd.spawn(async move {
            let shop = match worker % 3 {
                0 => plain.clone().with_hook(Arc::new(Nothing)),
                1 => plain.clone().with_strategy(Strategy::Pessimistic),
                _ => plain.clone(),
            };
            let some = || -> Vec<(&'static str, i64)> {
                let mut lines: Vec<_> = names
                    .into_iter()
                    .filter(|_| rand::random::<bool>())
                    .map(|name| (name, rand::random_range(1..4)))
                    .collect();
                if lines.is_empty() {
                    lines.push(("a", 1));
                }
                lines.reverse();
                lines
            };
            for _ in 0..rounds {
                let id = reserve(&shop, &some()).await;
                let mut tasks = JoinSet::new();
                for step in 0..3 {
                    let (shop, plain, lines, pool) = (shop.clone(), plain.clone(), some(), pool.clone());
                    tasks.spawn(async move {
                        let answer = match (step + rand::random_range(0..3)) % 5 {
                            0 => shop.release(id).await,
                            1 => shop.extend(id, Duration::from_secs(900)).await.map(drop),
                            2 => {
                                let one = "UPDATE optilock.holds SET expires_at = now() - interval '1 hour'
                                    WHERE reservation_id = $1 AND state = 0 AND sku = 'a'";
                                sqlx::query(one).bind(id.uuid()).execute(&pool).await.unwrap();
                                plain.cleanup_reservations().await.map(drop)
                            }
                            _ => {
                                let request = cart(&lines).with_reservation(id);
                                shop.checkout(request).await.map(drop)
                            }
                        };
                        match answer {
                            Ok(()) | Err(Error::ReservationClosed { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    });
                }
                tasks.join_all().await;
            }
        });
    }
    crowd.join_all().await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}

/// A checkout of one unit reads one expired hold, and ends a bounded number of them, by the index of its
/// product.
#[tokio::test]
async fn no_plan_reads_all_holds() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&shop, name, 20_000).await;
        backlog(&db.pool, name, 20_000).await;
    }
    let read = async || -> (i64, i64) {
        let flush = "SELECT pg_stat_force_next_flush()";
        sqlx::query(flush).execute(&db.pool).await.unwrap();
        let read =
            "SELECT seq_scan, (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables
            WHERE relid = 'optilock.holds'::regclass";
        sqlx::query_as(read).fetch_one(&db.pool).await.unwrap()
    };
    let before = read().await;
    for _ in 0..8 {
        // Each is short again, as what came free is taken: generic plans, too.
        shop.checkout(cart(&[("pot", 256)])).await.unwrap();
        let held = [(sku("mug"), units(256))];
        shop.reserve(Reserve::new(held).unwrap()).await.unwrap();
    }
    let after = read().await;
    assert_eq!(after.0, before.0, "all holds were read");
    let each = (after.1 - before.1) / 16;
    assert!(each < 6 * 256, "{each} holds were read for 256 units");
}
