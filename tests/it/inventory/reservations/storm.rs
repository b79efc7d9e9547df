//! Concurrent operations on reservations while time passes.

use optilock::inventory::{
    Error, ErrorKind, HoldState, Inventory, PgInventory, ReservationId, Reserve, Sku,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use rand::seq::IndexedRandom;
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_balanced, deadlocks},
    support::goods::{add, cart, sku, units},
};

const NAMES: [&str; 6] = ["pot", "mug", "jug", "cup", "dish", "bowl"];

/// Returns the number of operations of each run: `OPTILOCK_RESERVATION_OPERATIONS`, or 6,000.
fn operations() -> u64 {
    let requested = std::env::var("OPTILOCK_RESERVATION_OPERATIONS");
    requested.map_or(6_000, |number| {
        number.parse().expect("a number of operations")
    })
}

fn random_lines() -> Vec<(Sku, i64)> {
    let mut rng = rand::rng();
    let count = rand::random_range(1..=3);
    let names = NAMES.sample(&mut rng, count);
    names
        .map(|name| (sku(name), rand::random_range(1..=3)))
        .collect()
}

/// Sixteen tasks reserve, extend, release, buy, cancel and clean up. Older times in the rows stand for the
/// passage of time.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_operations_keep_the_reservations_consistent() {
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
                let mut own: Vec<ReservationId> = Vec::new();
                while left
                    .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    step(&shop, &pool, &mut own).await;
                }
                own
            });
        }
        let reservations: Vec<ReservationId> =
            tasks.join_all().await.into_iter().flatten().collect();
        assert!(reservations.len() as u64 > operations() / 100);
        assert_eq!(deadlocks(&db.pool).await, 0);
        assert_balanced(&db.pool).await;
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
        println!("{default:?}: {states:?} held, consumed, released, expired");
        assert!(states[1..].iter().all(|count| *count > 0), "{states:?}");
        assert_balanced(&db.pool).await;
    }
}

async fn step(shop: &PgInventory, pool: &optilock::sqlx::PgPool, own: &mut Vec<ReservationId>) {
    // A reservation of this task, or an unknown id.
    let id = own.choose(&mut rand::rng()).copied();
    let id = id.unwrap_or_else(ReservationId::new);
    let answer = match rand::random_range(0..100) {
        0..30 => {
            let lines = random_lines();
            let lines = lines.into_iter().map(|(sku, count)| (sku, units(count)));
            let request = Reserve::new(lines).unwrap();
            shop.reserve(request).await.map(|made| own.push(made.id))
        }
        30..40 => shop.extend(id, Duration::from_secs(1_200)).await.map(drop),
        40..65 => shop.release(id).await,
        65..85 => {
            let lines = random_lines();
            let lines: Vec<(&str, i64)> = lines.iter().map(|(sku, n)| (sku.as_str(), *n)).collect();
            let mut request = cart(&lines);
            if rand::random_bool(0.7) {
                request = request.with_reservation(id);
            }
            match shop.checkout(request).await {
                // The cancellation keeps units available.
                Ok(order) => shop.cancel(order.id, "test").await.map(drop),
                Err(refused) => Err(refused),
            }
        }
        85..95 => {
            // The holds of the reservation become older.
            let age = "UPDATE optilock.holds SET expires_at = expires_at - interval '11 minutes'
                WHERE reservation_id = $1 AND state = 0";
            let aged = optilock::sqlx::query(age).bind(id.uuid()).execute(pool);
            aged.await.map(drop).map_err(Error::from)
        }
        _ => shop.cleanup_reservations().await.map(drop),
    };
    if let Err(error) = answer {
        let expected = match error.kind() {
            ErrorKind::InsufficientStock | ErrorKind::ReservationClosed | ErrorKind::NotFound => {
                true
            }
            // The update above is no operation of the inventory and may conflict.
            ErrorKind::Serialization => error.exhausted().is_none(),
            _ => false,
        };
        assert!(expected, "{error:?}");
    }
}
