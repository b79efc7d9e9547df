//! How many attempts and round trips a modification takes.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use optilock::postgres::{Error, PgRepository};
use tokio::{runtime::Handle, task::JoinSet};

use super::POLICY;
use crate::support::{
    bank::{Account, Bank, PLACES},
    db::assert_idle,
    proxy::Proxy,
};

/// The first attempt reads, conflicts and reads the current row: three statements. The second attempt starts
/// from that row: one statement. At other isolation levels it has to read.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_starts_from_the_row_found_by_the_first() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let proxy = Proxy::new(&bank.db).await;
    let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
    let winner = bank.accounts.clone();
    let mut calls = 0;
    let (executes, ..) = proxy.counts();
    let (account, ()) = accounts
        .modify(&POLICY, &1, |account| {
            calls += 1;
            if calls == 1 {
                let win = winner.update(account);
                tokio::task::block_in_place(|| Handle::current().block_on(win)).unwrap();
            }
            account.cents += 1;
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!((calls, account.version.get(), account.cents), (2, 3, 101));
    assert_eq!(proxy.counts().0, executes + 4);
}

#[tokio::test]
async fn an_update_takes_one_round_trip_and_a_conflict_two() {
    let bank = Bank::open(PLACES[0]).await;
    let read = bank.account(1, 100).await;
    let proxy = Proxy::new(&bank.db).await;
    let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
    let read = accounts.update(&read).await.unwrap();
    accounts.find(&1).await.unwrap();
    let (executes, queries, parses) = proxy.counts();
    // The proxy holds further statements back for ever.
    proxy.allow(1);
    accounts.update(&read).await.unwrap();
    assert_eq!(proxy.counts(), (executes + 1, queries, parses));
    proxy.allow(2);
    assert!(accounts.update(&read).await.unwrap_err().is_conflict());
    assert_eq!(proxy.counts(), (executes + 3, queries, parses));
}

/// Of 32 writers of one row, none receives a conflict.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_row_need_at_most_three_attempts() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        bank.account(1, 0).await;
        let mut writers = JoinSet::new();
        for _ in 0..32 {
            let bank = bank.clone();
            writers.spawn(async move {
                for _ in 0..10 {
                    let attempts = AtomicU32::new(0);
                    let add = |account: &mut Account| {
                        attempts.fetch_add(1, SeqCst);
                        account.cents += 1;
                        Ok::<_, Error>(())
                    };
                    let policy = POLICY.with_deadline(None);
                    bank.accounts.modify(&policy, &1, add).await.unwrap();
                    let attempts = attempts.into_inner();
                    assert!(attempts <= 3, "{attempts} attempts");
                }
            });
        }
        writers.join_all().await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!((account.cents, account.version.get()), (320, 321));
        assert_idle(&bank.pool).await;
    }
}
