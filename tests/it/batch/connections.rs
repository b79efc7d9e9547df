//! The connections of batches that overlap.

use std::time::Duration;

use optilock::{
    inventory::{BatchedInventory, Inventory, PgInventory},
    sqlx::{self, Executor, PgPool},
};
use tokio::{task::JoinSet, time::timeout};

use super::{OPTIONS, batched_with, one_pot, spawn_checkouts};
use crate::support::{
    connect::pool_of,
    db::{Db, Default, assert_balanced, eventually, order_count},
    goods::{add, stock_of},
};

/// A batch is planned while another one of its product is written, and is then sent on the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_on_the_connection_of_the_one_that_it_follows() {
    let options = OPTIONS.always().with_batch(64);
    let (db, shop) = batched_with(Default::ReadCommitted, options).await;
    add(&shop, "pot", 1_000).await;
    let log = "CREATE TABLE public.batches (number bigserial, backend int);
        CREATE FUNCTION public.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.batches (backend) VALUES (pg_backend_pid());
            PERFORM pg_sleep(0.005);
            RETURN NEW; END $$;
        CREATE TRIGGER log BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.log()";
    db.pool.execute(log).await.unwrap();
    for answer in spawn_checkouts(&shop, (0..640).map(|_| one_pot())) {
        answer.await.unwrap().unwrap();
    }
    let switches = "SELECT count(*), count(*) FILTER (WHERE backend <> before) FROM (
            SELECT backend, lag(backend) OVER (ORDER BY number) AS before FROM public.batches) b";
    let (batches, switches): (i64, i64) =
        sqlx::query_as(switches).fetch_one(&db.pool).await.unwrap();
    assert!(batches >= 10, "{batches} batches");
    // One that takes more than 50 ms does not keep the next one waiting.
    assert!(switches <= 3, "{switches} of {batches}");
    assert_eq!(stock_of(&shop, "pot").await, 360);
    assert_balanced(&db.pool).await;
}

/// Buyers without a pause, so that another batch always follows the running one.
fn buy_on(shop: &BatchedInventory) -> JoinSet<()> {
    let mut buyers = JoinSet::new();
    for _ in 0..300 {
        let shop = shop.clone();
        buyers.spawn(async move {
            loop {
                if shop.checkout(one_pot()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    buyers
}

async fn busy_shop(connections: u32) -> (Db, PgPool, BatchedInventory) {
    let db = Db::new().await;
    let pool = pool_of(&db, connections).await;
    let inventory = PgInventory::new(pool.clone());
    let shop = BatchedInventory::new(inventory, OPTIONS.with_batch(64));
    add(&shop, "pot", 10_000_000).await;
    (db, pool, shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_closed_while_batches_follow_each_other() {
    let (db, pool, shop) = busy_shop(16).await;
    let buyers = buy_on(&shop);
    eventually("batches run", async || order_count(&db.pool).await > 1_000).await;
    let closed = timeout(Duration::from_secs(5), pool.close()).await;
    assert!(closed.is_ok(), "a batch keeps its connection");
    drop(buyers);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_every_connection_while_batches_follow_each_other() {
    let (db, pool, shop) = busy_shop(7).await;
    let buyers = buy_on(&shop);
    eventually("batches run", async || order_count(&db.pool).await > 1_000).await;
    let mut held = Vec::new();
    for number in 0..7 {
        let conn = timeout(Duration::from_secs(5), pool.acquire()).await;
        let conn = conn.unwrap_or_else(|_| panic!("connection {number} is kept by batches"));
        held.push(conn.unwrap());
    }
    drop(held);
    drop(buyers);
    assert_balanced(&db.pool).await;
}
