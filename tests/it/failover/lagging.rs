//! Reads of a standby that lags behind, and writes to the primary.

use std::{fmt::Debug, time::Duration};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, PgInventory},
    postgres::{Error, PgRepository, transact},
};
use tokio::task::JoinSet;

use super::pair::Pair;
use crate::support::{
    bank::{Account, TABLE},
    goods::{add, cart, stock_of},
    triggers::run,
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

async fn bank(pair: &Pair) -> [PgRepository<Account>; 2] {
    run(&pair.on_primary, TABLE).await;
    let written = PgRepository::new(pair.on_primary.clone());
    written.insert(&Account::new(1, 100)).await.unwrap();
    pair.catch_up().await;
    [written, PgRepository::new(pair.on_standby.clone())]
}

async fn set_replay(pair: &Pair, function: &str) {
    run(&pair.on_standby, format!("SELECT {function}()")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lagging_standby_serves_reads_and_no_lost_update() {
    let pair = Pair::asynchronous().await;
    let [primary, standby] = bank(&pair).await;
    a_row_that_was_read_too_late_is_a_conflict(&pair, &primary, &standby).await;
    writers_that_read_the_standby_lose_no_update(&pair, &primary, &standby).await;
    a_standby_reads_and_refuses_to_write(&pair, &standby).await;
}

async fn a_row_that_was_read_too_late_is_a_conflict(
    pair: &Pair,
    primary: &PgRepository<Account>,
    standby: &PgRepository<Account>,
) {
    set_replay(pair, "pg_wal_replay_pause").await;
    let current = primary.get(&1).await.unwrap().plus(-30);
    let current = primary.update(&current).await.unwrap();
    let stale = standby.get(&1).await.unwrap();
    assert_eq!(stale.cents, 100);
    let error = primary.update(&stale.plus(50)).await.unwrap_err();
    let conflict = error.conflict().unwrap();
    assert_eq!(
        (conflict.expected, conflict.actual),
        (stale.version, current.version)
    );
    assert_eq!(primary.get(&1).await.unwrap().cents, 70);
    set_replay(pair, "pg_wal_replay_resume").await;
    pair.catch_up().await;
    let fresh = standby.get(&1).await.unwrap();
    assert_eq!(primary.update(&fresh.plus(30)).await.unwrap().cents, 100);
}

/// Eight writers read the standby, which replays 20 ms later, and write to the primary.
async fn writers_that_read_the_standby_lose_no_update(
    pair: &Pair,
    primary: &PgRepository<Account>,
    standby: &PgRepository<Account>,
) {
    pair.delay_replay("20ms");
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let (primary, standby) = (primary.clone(), standby.clone());
        writers.spawn(async move {
            let (mut written, mut conflicts) = (0, 0);
            while written < 5 {
                let read = standby.get(&1).await.unwrap();
                match primary.update(&read.plus(1)).await {
                    Ok(_) => written += 1,
                    Err(error) if error.is_conflict() => conflicts += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
            conflicts
        });
    }
    let conflicts: u32 = writers.join_all().await.into_iter().sum();
    let written = primary.get(&1).await.unwrap();
    assert_eq!(written.cents, 100 + 8 * 5);
    assert!(conflicts > 8, "only {conflicts} reads were too late");
    pair.delay_replay("0");
}

async fn a_standby_reads_and_refuses_to_write(pair: &Pair, accounts: &PgRepository<Account>) {
    let primary = PgInventory::new(pair.on_primary.clone());
    add(&primary, "pot", 9).await;
    primary.checkout(cart(&[("pot", 1)])).await.unwrap();
    pair.catch_up().await;
    let shop = PgInventory::new(pair.on_standby.clone()).with_policy(ONCE);
    assert_eq!(stock_of(&shop, "pot").await, 8);
    let report = shop.report(Duration::from_secs(60)).await.unwrap();
    assert_eq!(report.best_sellers.len(), 1);
    assert!(shop.movements_since(&Default::default(), 100).await.is_ok());
    let audit = shop.audit().await.unwrap();
    assert!(audit.is_clean(), "{audit}");
    accounts.verify().await.unwrap();

    let row = accounts.get(&1).await.unwrap();
    let written = accounts.update(&row).await.unwrap_err();
    assert!(written.is_busy(), "{written:?}");
    assert_read_only(&written);
    let sold = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
    assert!(sold.is_busy() && sold.http_status() == 503, "{sold:?}");
    assert_read_only(&sold);
    let result = transact(&pair.on_standby, &ONCE, async |tx| {
        accounts.update_in(tx, &row).await.map(drop)
    });
    let ended: Error = result.await.unwrap_err().error;
    assert!(ended.is_busy(), "{ended:?}");
    assert_read_only(&ended);
}

fn assert_read_only(error: &impl Debug) {
    let text = format!("{error:?}");
    assert!(text.contains("25006"), "{text}");
}
