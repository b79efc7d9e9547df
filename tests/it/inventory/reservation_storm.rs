//! Many hands on reservations at once, while time passes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::inventory::{Error, HoldState, Inventory, PgInventory, ReservationId, Reserve, Sku};
use rand::seq::IndexedRandom;
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books, deadlocks},
    support::goods::{add, cart, sku, units},
};

const NAMES: [&str; 6] = ["pot", "mug", "jug", "cup", "dish", "bowl"];

/// Of each run. `OPTILOCK_RESERVATION_OPERATIONS=100000` for the figure in the README.
fn operations() -> u64 {
    let asked = std::env::var("OPTILOCK_RESERVATION_OPERATIONS");
    asked.map_or(6_000, |it| it.parse().expect("a number of operations"))
}

fn some_lines() -> Vec<(Sku, i64)> {
    let mut rng = rand::rng();
    let count = rand::random_range(1..=3);
    let names = NAMES.sample(&mut rng, count);
    names
        .map(|name| (sku(name), rand::random_range(1..=3)))
        .collect()
}

/// Sixteen tasks reserve, extend, release, buy, cancel and let run out, and time is moved by making rows
/// older.
#[tokio::test(flavor = "multi_thread")]
async fn by_sixteen_tasks() {
    for default in [Default::ReadCommitted, Default::RepeatableRead] {
        let db = Db::with(default, 16).await;
        let patient = optilock::RetryPolicy::new()
            .with_max_attempts(1_000)
            .with_deadline(None);
        let shop = PgInventory::new(db.pool.clone()).with_policy(patient);
        for name in NAMES {
            add(&shop, name, 100).await;
        }
        let left = Arc::new(AtomicU64::new(operations()));
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (shop, pool, left) = (shop.clone(), db.pool.clone(), Arc::clone(&left));
            tasks.spawn(async move {
                let mut mine: Vec<ReservationId> = Vec::new();
                while left
                    .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    step(&shop, &pool, &mut mine).await;
                }
                mine
            });
        }
        let reservations: Vec<ReservationId> =
            tasks.join_all().await.into_iter().flatten().collect();
        assert!(reservations.len() as u64 > operations() / 100);
        assert_eq!(deadlocks(&db.pool).await, 0);
        assert_books(&db.pool).await;
        shop.cleanup_reservations().await.unwrap();
        let mut states = [0; 4];
        for id in reservations {
            for hold in shop.reservation(id).await.unwrap().holds {
                let at = match hold.state {
                    HoldState::Held => 0,
                    HoldState::Consumed => 1,
                    HoldState::Released => 2,
                    _ => 3,
                };
                states[at] += 1;
            }
        }
        println!("{default:?}: {states:?} held, consumed, released, lapsed");
        assert!(states[1..].iter().all(|count| *count > 0), "{states:?}");
        assert_books(&db.pool).await;
    }
}

async fn step(shop: &PgInventory, pool: &optilock::sqlx::PgPool, mine: &mut Vec<ReservationId>) {
    // One of its own, or one that does not exist.
    let some = mine.choose(&mut rand::rng()).copied();
    let some = some.unwrap_or_else(ReservationId::new);
    let answer = match rand::random_range(0..100) {
        0..30 => {
            let lines = some_lines();
            let lines = lines.into_iter().map(|(sku, count)| (sku, units(count)));
            let request = Reserve::new(lines).unwrap();
            shop.reserve(request).await.map(|made| mine.push(made.id))
        }
        30..40 => shop
            .extend(some, Duration::from_secs(1_200))
            .await
            .map(drop),
        40..65 => shop.release(some).await,
        65..85 => {
            let lines = some_lines();
            let lines: Vec<(&str, i64)> = lines.iter().map(|(sku, n)| (sku.as_str(), *n)).collect();
            let mut request = cart(&lines);
            if rand::random_bool(0.7) {
                request = request.with_reservation(some);
            }
            match shop.checkout(request).await {
                // Units come back, or there would soon be none.
                Ok(order) => shop.cancel(order.id, "test").await.map(drop),
                Err(refused) => Err(refused),
            }
        }
        85..95 => {
            // Time passes for some holds.
            let age = "UPDATE optilock.holds SET expires_at = expires_at - interval '11 minutes'
                WHERE reservation_id = $1 AND state = 0";
            let aged = optilock::sqlx::query(age).bind(some.uuid()).execute(pool);
            aged.await.map(drop).map_err(Error::from)
        }
        _ => shop.cleanup_reservations().await.map(drop),
    };
    match answer {
        Ok(())
        | Err(
            Error::InsufficientStock(_)
            | Error::ReservationClosed { .. }
            | Error::NotFound { .. }
            // The ageing, which is this test's own and takes no care.
            | Error::Serialization(_),
        ) => {}
        Err(other) => panic!("{other:?}"),
    }
}
