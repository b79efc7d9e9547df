//! Callers that give up while a connection works for them.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use optilock::{
    inventory::{Inventory, PgInventory},
    postgres::{self, PgRepository, transact},
    sqlx,
};
use tokio::{task::JoinSet, time::timeout};

use super::{POLICY, counting};
use crate::support::{
    bank::{Account, Bank, PLACES, TABLE},
    connect::open_all,
    db::{Db, assert_idle, eventually},
    goods::{add, sku},
    proxy::Proxy,
};

/// The network goes silent, and a timeout drops the waiting operations. New connections work, so the pool
/// has to recover within its own time limit, which is shorter than that of TCP.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_network_does_not_exhaust_the_pool() {
    let db = Db::new().await;
    sqlx::raw_sql(TABLE).execute(&db.pool).await.unwrap();
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(4).await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    let shop = PgInventory::new(pool.clone());
    accounts.insert(&Account::new(1, 100)).await.unwrap();
    add(&shop, "pot", 5).await;
    let (row, product, transaction) = (
        async || drop(accounts.get(&1).await.unwrap()),
        async || drop(shop.product(&sku("pot")).await.unwrap()),
        async || {
            let account = transact(&pool, &POLICY, async |tx| accounts.lock_in(tx, &1).await);
            drop::<Account>(account.await.unwrap());
        },
    );
    for kind in ["row", "product", "transaction"] {
        let work = async || match kind {
            "row" => row().await,
            "product" => product().await,
            _ => transaction().await,
        };
        open_all(&pool, 4).await;
        eventually("every connection is back in the pool", async || {
            pool.num_idle() == 4
        })
        .await;
        proxy.silence();
        let slow = async || timeout(Duration::from_millis(100), work()).await;
        let ended = tokio::join!(slow(), slow(), slow(), slow());
        assert!(ended.0.is_err() && ended.1.is_err() && ended.2.is_err() && ended.3.is_err());
        let start = Instant::now();
        timeout(Duration::from_secs(20), work())
            .await
            .expect("the pool has recovered");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "{kind} took {took:?}");
    }
}

/// Few of the callers that give up cost a new backend.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_close_few_connections() {
    let bank = Bank::open(PLACES[0]).await;
    bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
    let opened = Arc::default();
    let pool = counting(&opened)
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    // With all connections open, a caller gives up during a statement and not while it connects.
    open_all(&pool, 4).await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    let mut callers = JoinSet::new();
    for caller in 0..100_u64 {
        let (accounts, pool) = (accounts.clone(), pool.clone());
        callers.spawn(async move {
            let limit = Duration::from_micros(1_000 + 100 * caller);
            let work = async {
                let plus = |account: &mut Account| {
                    account.cents += 1;
                    Ok::<_, postgres::Error>(())
                };
                match caller % 3 {
                    0 => drop(accounts.modify(&POLICY, &1, plus).await.unwrap()),
                    1 => drop(accounts.get(&1).await.unwrap()),
                    _ => transact(&pool, &POLICY, async |tx| {
                        for _ in 0..20 {
                            accounts.get_in(tx, &1).await?;
                        }
                        Ok::<_, postgres::Error>(())
                    })
                    .await
                    .unwrap(),
                }
            };
            timeout(limit, work).await.is_err()
        });
    }
    let gave_up = callers
        .join_all()
        .await
        .into_iter()
        .filter(|it| *it)
        .count();
    assert!(gave_up > 10, "only {gave_up} gave up");
    assert_idle(&bank.pool).await;
    // The pool has four connections. A connection whose BEGIN or COMMIT was in flight has to be closed.
    let opened = opened.load(SeqCst);
    println!("{gave_up} callers gave up, {opened} connections were opened");
    assert!(
        opened < 4 + gave_up as u32 / 4,
        "{opened} connections for {gave_up}"
    );
}

/// The connections of callers that give up at a lock stay busy until the lock is granted or their time limit
/// is over.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_at_a_lock_close_few_connections() {
    let bank = Bank::open(PLACES[0]).await;
    let account = bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
    let opened = Arc::default();
    let pool = counting(&opened)
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(pool.clone());
    let mut holder = bank.pool.begin().await.unwrap();
    bank.accounts.lock_in(&mut holder, &1).await.unwrap();
    let start = Instant::now();
    for _ in 0..25 {
        let update = || timeout(Duration::from_millis(40), accounts.update(&account));
        let ended = tokio::join!(update(), update(), update(), update());
        assert!(ended.0.is_err() && ended.1.is_err() && ended.2.is_err() && ended.3.is_err());
    }
    holder.rollback().await.unwrap();
    accounts.get(&1).await.unwrap();
    assert_idle(&bank.pool).await;
    let opened = opened.load(SeqCst);
    // Connections that wait for their whole time limit are closed: four a second.
    let most = 8 + 4 * start.elapsed().as_secs();
    assert!(
        u64::from(opened) <= most,
        "{opened} connections for 100 callers"
    );
}
