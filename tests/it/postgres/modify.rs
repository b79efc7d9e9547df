//! Read, change, compare-and-set, again.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use optilock::{
    Class, Classify, RetryPolicy, StopReason,
    postgres::{Error, PgRepository, transact},
    sqlx,
};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    support::bank::{Account, Bank, CHILD, KEEPERS, PLACES, everywhere},
    support::db::assert_quiet,
    support::proxy::{Cut, Proxy},
};

const POLICY: RetryPolicy = RetryPolicy::new();
const LOCKING: RetryPolicy = POLICY.with_locking_after(Some(0));

#[derive(Debug, thiserror::Error)]
enum BankError {
    #[error("{missing} cents are missing")]
    Overdrawn { missing: i64 },
    #[error(transparent)]
    Row(#[from] Error),
}

fn withdraw(cents: i64) -> impl FnMut(&mut Account) -> Result<i64, BankError> {
    move |account| {
        account.cents -= cents;
        match account.cents {
            ..0 => Err(BankError::Overdrawn {
                missing: -account.cents,
            }),
            left => Ok(left),
        }
    }
}

#[tokio::test]
async fn a_change_is_written_and_its_answer_returned() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        for (policy, left) in [(POLICY, 70), (LOCKING, 40)] {
            let (account, answer) = bank
                .accounts
                .modify(&policy, &1, withdraw(30))
                .await
                .unwrap();
            assert_eq!((account.cents, answer), (left, left));
            assert_eq!(bank.accounts.get(&1).await.unwrap(), account);
        }
    })
    .await;
}

#[tokio::test]
async fn the_changes_own_error_is_final_and_nothing_is_written() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        for policy in [POLICY, LOCKING] {
            let refused = bank.accounts.modify(&policy, &1, withdraw(130)).await;
            let refused = refused.unwrap_err();
            assert!(matches!(
                refused.error,
                BankError::Overdrawn { missing: 30 }
            ));
            assert_eq!(
                (refused.attempts, refused.reason),
                (1, StopReason::Permanent)
            );
            let nobody = bank.accounts.modify(&policy, &2, withdraw(1)).await;
            let nobody = nobody.unwrap_err();
            assert!(matches!(
                nobody.error,
                BankError::Row(Error::NotFound { .. })
            ));
            assert_eq!(nobody.attempts, 1);
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
        assert_quiet(&bank.pool).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_change_does_to_id_and_version_is_not_heeded() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        let other = bank.account(2, 100).await;
        for policy in [POLICY, LOCKING] {
            let mut calls = 0;
            let meddle = |account: &mut Account| {
                calls += 1;
                (account.id, account.version) = (2, account.version.next().unwrap());
                account.cents += 1;
                Ok::<_, Error>(())
            };
            let (account, ()) = bank.accounts.modify(&policy, &1, meddle).await.unwrap();
            assert_eq!((account.id, calls), (1, 1));
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap().cents, 102);
        assert_eq!(bank.accounts.get(&2).await.unwrap(), other);
    })
    .await;
}

/// The first attempt reads, loses, and looks who won: three statements. The second starts from what
/// that one found: one more. In any other isolation level it has to read.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_starts_from_the_row_that_the_first_found() {
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
async fn an_update_is_one_round_trip_when_it_wins_and_two_when_it_loses() {
    let bank = Bank::open(PLACES[0]).await;
    let read = bank.account(1, 100).await;
    let proxy = Proxy::new(&bank.db).await;
    let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
    let read = accounts.update(&read).await.unwrap();
    accounts.find(&1).await.unwrap();
    let (executes, queries, parses) = proxy.counts();
    // No more than these may pass; any other would wait for ever.
    proxy.allow(1);
    accounts.update(&read).await.unwrap();
    assert_eq!(proxy.counts(), (executes + 1, queries, parses));
    proxy.allow(2);
    assert!(accounts.update(&read).await.unwrap_err().is_conflict());
    assert_eq!(proxy.counts(), (executes + 3, queries, parses));
}

/// 32 writers of one row: nobody needs more than three attempts, and no conflict reaches anyone.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_everybody_wants() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        bank.account(1, 0).await;
        let mut writers = JoinSet::new();
        for _ in 0..32 {
            let bank = bank.clone();
            writers.spawn(async move {
                for _ in 0..10 {
                    let calls = AtomicU32::new(0);
                    let add = |account: &mut Account| {
                        calls.fetch_add(1, SeqCst);
                        account.cents += 1;
                        Ok::<_, Error>(())
                    };
                    let policy = POLICY.with_deadline(None);
                    bank.accounts.modify(&policy, &1, add).await.unwrap();
                    assert!(calls.load(SeqCst) <= 3, "{} attempts", calls.load(SeqCst));
                }
            });
        }
        writers.join_all().await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!((account.cents, account.version.get()), (320, 321));
        assert_quiet(&bank.pool).await;
    }
}

#[tokio::test]
async fn in_the_callers_transaction_it_locks() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        bank.account(2, 0).await;
        let transfer = transact(&bank.pool, &POLICY, async |tx| {
            bank.accounts.modify_in(tx, &1, withdraw(30)).await?;
            let (account, ()) = bank
                .accounts
                .modify_in(tx, &2, |account| {
                    account.cents += 30;
                    Ok::<_, BankError>(())
                })
                .await?;
            Ok::<_, BankError>(account)
        });
        assert_eq!(transfer.await.unwrap().cents, 30);
        let mut first = bank.pool.begin().await.unwrap();
        bank.accounts
            .modify_in(&mut first, &1, withdraw(1))
            .await
            .unwrap();
        let mine = bank.accounts.get(&1).await.unwrap();
        let ending = async {
            bank.waits().await;
            first.rollback().await.unwrap();
        };
        let (waited, ()) = tokio::join!(bank.accounts.update(&mine), ending);
        assert_eq!(waited.unwrap().cents, 70);
    })
    .await;
}

impl From<sqlx::Error> for BankError {
    fn from(error: sqlx::Error) -> Self {
        Self::Row(error.into())
    }
}

impl Classify for BankError {
    fn class(&self) -> Class {
        match self {
            Self::Overdrawn { .. } => Class::Permanent,
            Self::Row(error) => error.class(),
        }
    }
}

/// The wire is cut while the write is on its way: nobody can say what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_unknown_and_not_repeated() {
    for (cut, written) in [(Cut::Before, false), (Cut::Reply, true)] {
        let bank = Bank::open(PLACES[0]).await;
        bank.account(1, 100).await;
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        let rename = |account: &mut Account| {
            "Zenobia".clone_into(&mut account.owner);
            Ok::<_, Error>(())
        };
        proxy.trap(b"Zenobia", cut.clone());
        let lost = accounts.modify(&POLICY, &1, rename).await.unwrap_err();
        assert!(lost.error.is_unknown(), "{lost:?}");
        assert_eq!((lost.attempts, lost.reason), (1, StopReason::Unknown));
        assert_quiet(&bank.pool).await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!(account.owner == "Zenobia", written, "{cut:?}");

        let mut mine = account.plus(1);
        "Ulises".clone_into(&mut mine.owner);
        proxy.trap(b"Ulises", cut);
        assert!(accounts.update(&mine).await.unwrap_err().is_unknown());
        assert_quiet(&bank.pool).await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!(account.owner == "Ulises", written);
    }
}

/// An attempt that locks is a transaction: what is lost before its COMMIT did not happen.
#[tokio::test(flavor = "multi_thread")]
async fn a_locking_attempt_that_is_cut_before_commit_is_made_again() {
    for cut in [Cut::Before, Cut::Reply] {
        let bank = Bank::open(PLACES[0]).await;
        bank.account(1, 100).await;
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        proxy.trap(b"Zenobia", cut.clone());
        let rename = |account: &mut Account| {
            "Zenobia".clone_into(&mut account.owner);
            Ok::<_, Error>(())
        };
        let (account, ()) = accounts.modify(&LOCKING, &1, rename).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(account.version.get(), 2);

        // At COMMIT it may have.
        proxy.trap(b"COMMIT\0", cut);
        let lost = accounts.modify(&LOCKING, &1, rename).await.unwrap_err();
        assert!(lost.error.is_unknown(), "{lost:?}");
        assert_eq!(lost.reason, StopReason::Unknown);
        assert_quiet(&bank.pool).await;
    }
}

/// Neither with a lock nor without: what a trigger left as it was is not called modified, and it is
/// not tried again.
#[tokio::test]
async fn a_trigger_that_keeps_the_version_suppresses_the_change() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.account(1, 100).await;
            bank.run(keeper).await;
            for policy in [POLICY, LOCKING] {
                let refused = bank.accounts.modify(&policy, &1, withdraw(30)).await;
                let refused = refused.unwrap_err();
                let BankError::Row(Error::Suppressed { id, .. }) = &refused.error else {
                    panic!("{refused:?}");
                };
                assert_eq!((&**id, refused.attempts), ("1", 1));
                assert_eq!(refused.reason, StopReason::Permanent);
            }
            let mut conn = bank.pool.acquire().await.unwrap();
            let refused = bank.accounts.modify_in(&mut conn, &1, withdraw(30)).await;
            assert!(matches!(
                refused,
                Err(BankError::Row(Error::Suppressed { .. }))
            ));
            assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
            assert_quiet(&bank.pool).await;
        })
        .await;
    }
}

#[tokio::test]
async fn an_id_of_several_rows_is_not_modified() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        bank.account(1, 100).await;
        bank.run("INSERT INTO bank.child VALUES (1, 'a child', 100, 1)")
            .await;
        for policy in [POLICY, LOCKING] {
            let refused = bank.accounts.modify(&policy, &1, withdraw(30)).await;
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused.error, BankError::Row(Error::SchemaMismatch { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(bank.sum().await, 200);
    })
    .await;
}
