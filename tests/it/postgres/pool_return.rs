//! How a connection goes back to its pool: within a limit, whatever became of the network, of its caller, or
//! of the runtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, PgInventory},
    postgres::{self, PgRepository, PoolOptions, transact},
    sqlx::{self, PgPool},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    support::bank::{Account, Bank, PLACES},
    support::db::{Db, assert_quiet, eventually, pool_options},
    support::goods::{add, sku},
    support::proxy::Proxy,
};

const POLICY: RetryPolicy = RetryPolicy::new();

/// The network goes silent, and what waits is dropped by a timeout. New connections
/// work, so the pool has to be well again within its limit, and not when TCP gives up.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_network_costs_the_pool_no_connection() {
    let db = Db::new().await;
    sqlx::raw_sql(crate::support::bank::TABLE)
        .execute(&db.pool)
        .await
        .unwrap();
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(4).await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    let shop = PgInventory::new(pool.clone());
    accounts.insert(&Account::new(1, 100)).await.unwrap();
    add(&shop, "pot", 5).await;
    let (get, product, run) = (
        async || drop(accounts.get(&1).await.unwrap()),
        async || drop(shop.product(&sku("pot")).await.unwrap()),
        async || {
            let account = transact(&pool, &POLICY, async |tx| accounts.lock_in(tx, &1).await);
            drop::<Account>(account.await.unwrap());
        },
    );
    for kind in 0..3 {
        let work = async || match kind {
            0 => get().await,
            1 => product().await,
            _ => run().await,
        };
        // Every connection of the pool is open when the network goes silent.
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        eventually("the pool has its connections back", async || {
            pool.num_idle() == 4
        })
        .await;
        proxy.silence();
        let late = async || timeout(Duration::from_millis(100), work()).await;
        let ended = tokio::join!(late(), late(), late(), late());
        assert!(ended.0.is_err() && ended.1.is_err() && ended.2.is_err() && ended.3.is_err());
        let start = Instant::now();
        timeout(Duration::from_secs(20), work())
            .await
            .expect("the pool is well again");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "kind {kind} took {took:?}");
    }
}

/// Counts the connections that a pool opens.
fn counting(opened: &Arc<AtomicU32>) -> PoolOptions {
    let opened = Arc::clone(opened);
    pool_options(4).after_connect(move |_, _| {
        opened.fetch_add(1, SeqCst);
        Box::pin(async { Ok(()) })
    })
}

/// Callers that give up cost the server hardly a process.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_cost_no_connections() {
    let bank = Bank::open(PLACES[0]).await;
    bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
    let opened = Arc::default();
    let pool = counting(&opened)
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    // All of them are open before the first caller gives up: it gives up in a statement.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    let accounts = PgRepository::<Account>::new(pool.clone());
    let mut callers = JoinSet::new();
    for caller in 0..100_u64 {
        let (accounts, pool) = (accounts.clone(), pool.clone());
        callers.spawn(async move {
            let patience = Duration::from_micros(1_000 + 100 * caller);
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
            timeout(patience, work).await.is_err()
        });
    }
    let gave_up = callers
        .join_all()
        .await
        .into_iter()
        .filter(|it| *it)
        .count();
    assert!(gave_up > 10, "only {gave_up} gave up");
    assert_quiet(&bank.pool).await;
    // Four are the pool's. One is closed where BEGIN or COMMIT was under way: that has to be.
    let opened = opened.load(SeqCst);
    println!("{gave_up} callers gave up, {opened} connections were opened");
    assert!(
        opened < 4 + gave_up as u32 / 4,
        "{opened} connections for {gave_up}"
    );
}

/// Callers that give up while they wait for a lock: the connections are busy until the lock is there, or
/// until their limit, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_at_a_lock_cost_no_connections() {
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
    assert_quiet(&bank.pool).await;
    let opened = opened.load(SeqCst);
    // Those that waited for the lock for their whole limit were closed: four a second.
    let most = 8 + 4 * start.elapsed().as_secs();
    assert!(
        u64::from(opened) <= most,
        "{opened} connections for 100 callers"
    );
}

/// A hook of the host's own does not replace the ping of an idle connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_the_hosts_leaves_the_ping_in_place() {
    let bank = Bank::open(PLACES[0]).await;
    let mut account = bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&asked);
    let pool = pool_options(1)
        .ping_after(Duration::ZERO)
        .before_acquire(move |_, _| {
            hook.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(pool.clone());
    for _ in 0..3 {
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&pool)
            .await
            .unwrap();
        let ended = async || {
            let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            sqlx::query_scalar(gone)
                .bind(pid)
                .fetch_one(&bank.pool)
                .await
                .unwrap()
        };
        sqlx::query("SELECT pg_terminate_backend($1)")
            .bind(pid)
            .execute(&bank.pool)
            .await
            .unwrap();
        eventually("the backend has ended", ended).await;
        account = accounts
            .update(&account)
            .await
            .expect("no write on a dead connection");
    }
    assert!(asked.load(SeqCst) >= 3);
}

/// A host's function that returns `false`, and one that fails: the connection is closed, as sqlx has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_refuses_has_the_connection_closed() {
    let db = Db::empty().await;
    let opened = Arc::default();
    let pool = counting(&opened)
        .max_connections(1)
        .before_acquire(|_, _| Box::pin(async { Ok(false) }))
        .connect_with(db.database.options())
        .await
        .unwrap();
    for _ in 0..3 {
        sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    }
    assert!(opened.load(SeqCst) >= 3);
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn slow(pool: &PgPool) -> Result<(), optilock::RetryError<sqlx::Error>> {
    transact(pool, &POLICY, async |tx| {
        sqlx::query("SELECT pg_sleep(0.2)")
            .execute(&mut **tx)
            .await
            .map(drop)
    })
    .await
}

/// A future that outlives its runtime, dropped where there is none: the connection is closed.
#[test]
fn without_a_runtime_a_connection_is_closed() {
    let observing = current_thread();
    let db = observing.block_on(Db::empty());
    for least in [0, 1] {
        let runtime = current_thread();
        let options = db.database.options();
        let pool = runtime.block_on(async {
            pool_options(2)
                .min_connections(least)
                .connect_with(options)
                .await
                .unwrap()
        });
        let mut work = Box::pin(async { slow(&pool).await });
        runtime.block_on(async {
            assert!(timeout(Duration::from_millis(50), &mut work).await.is_err());
        });
        drop(work);
        observing.block_on(assert_quiet(&db.pool));
        drop(runtime);
    }
}

/// An operation that panics, and a runtime that unwinds while others wait: nothing aborts, nothing stays
/// open.
#[test]
fn a_panic_leaves_nothing_open() {
    let observing = current_thread();
    let db = observing.block_on(Db::empty());
    let unwound = std::thread::scope(|threads| {
        let unwinding = threads.spawn(|| {
            let runtime = current_thread();
            runtime.block_on(async {
                let pool = pool_options(8)
                    .connect_with(db.database.options())
                    .await
                    .unwrap();
                for _ in 0..8 {
                    let pool = pool.clone();
                    tokio::spawn(async move { slow(&pool).await });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                transact(&pool, &POLICY, async |tx| -> Result<(), sqlx::Error> {
                    sqlx::query("SELECT 1").execute(&mut **tx).await?;
                    panic!("on purpose")
                })
                .await
            })
        });
        unwinding.join()
    });
    assert!(unwound.is_err());
    observing.block_on(assert_quiet(&db.pool));
}
