//! Concurrent steps of reservations over the same products.

use std::{sync::Arc, time::Duration};

use optilock::{
    inventory::{ErrorKind, Inventory, PgInventory, ReservationId, Strategy},
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use super::reserve;
use crate::{
    support::db::{Db, Default, assert_balanced, deadlocks},
    support::goods::{add, cart},
    support::idle_hook::IdleHook,
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn random_lines() -> Vec<(&'static str, i64)> {
    let mut lines: Vec<_> = NAMES
        .into_iter()
        .filter(|_| rand::random::<bool>())
        .map(|name| (name, rand::random_range(1..4)))
        .collect();
    if lines.is_empty() {
        lines.push(("a", 1));
    }
    lines.reverse();
    lines
}

async fn expire(pool: &PgPool, id: ReservationId) {
    let expire = "UPDATE optilock.holds SET expires_at = now() - interval '1 hour'
        WHERE reservation_id = $1 AND state = 0 AND sku = 'a'";
    sqlx::query(expire)
        .bind(id.uuid())
        .execute(pool)
        .await
        .unwrap();
}

/// Releases, extends, expires or checks out the reservation.
async fn random_step(
    shop: PgInventory,
    plain: PgInventory,
    pool: PgPool,
    id: ReservationId,
    step: u32,
) {
    let answer = match (step + rand::random_range(0..3)) % 5 {
        0 => shop.release(id).await,
        1 => shop.extend(id, Duration::from_secs(900)).await.map(drop),
        2 => {
            expire(&pool, id).await;
            plain.cleanup_reservations().await.map(drop)
        }
        _ => {
            let request = cart(&random_lines()).with_reservation(id);
            shop.checkout(request).await.map(drop)
        }
    };
    match answer {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::ReservationClosed => {}
        Err(other) => panic!("{other:?}"),
    }
}

/// Each worker checks out, with a hook or with locks, carts of other products than the reservation's, and
/// releases, extends and expires the reservation at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_steps_of_reservations_do_not_deadlock() {
    let rounds = std::env::var("OPTILOCK_RESERVATION_OPERATIONS");
    let rounds: u32 = rounds.map_or(60, |it| it.parse().unwrap());
    let db = Db::with(Default::ReadCommitted, 16).await;
    let plain = PgInventory::new(db.pool.clone());
    for name in NAMES {
        add(&plain, name, 1_000_000).await;
    }
    let mut workers = JoinSet::new();
    for worker in 0..16_u32 {
        let (plain, pool) = (plain.clone(), db.pool.clone());
        workers.spawn(async move {
            let shop = match worker % 3 {
                0 => plain.clone().with_hook(Arc::new(IdleHook)),
                1 => plain.clone().with_strategy(Strategy::Pessimistic),
                _ => plain.clone(),
            };
            for _ in 0..rounds {
                let id = reserve(&shop, &random_lines()).await;
                let mut steps = JoinSet::new();
                for step in 0..3 {
                    steps.spawn(random_step(
                        shop.clone(),
                        plain.clone(),
                        pool.clone(),
                        id,
                        step,
                    ));
                }
                steps.join_all().await;
            }
        });
    }
    workers.join_all().await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_balanced(&db.pool).await;
}
