//! Modifications: read, change, compare-and-set, repeat.

mod attempts;
mod lost_connection;
mod suppressed;

use optilock::{
    Class, Classify, RetryPolicy, StopReason,
    postgres::{Error, transact},
    sqlx,
};

use crate::{
    postgres::repository::assertions::run_blocked,
    support::{
        bank::{Account, everywhere},
        db::assert_idle,
    },
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
async fn an_error_of_the_change_is_final_and_nothing_is_written() {
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
            let missing = bank.accounts.modify(&policy, &2, withdraw(1)).await;
            let missing = missing.unwrap_err();
            assert!(matches!(missing.error, BankError::Row(error) if error.is_not_found()));
            assert_eq!(missing.attempts, 1);
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
        assert_idle(&bank.pool).await;
    })
    .await;
}

#[tokio::test]
async fn changes_of_id_and_version_are_ignored() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        let other = bank.account(2, 100).await;
        for policy in [POLICY, LOCKING] {
            let mut calls = 0;
            let change_key = |account: &mut Account| {
                calls += 1;
                (account.id, account.version) = (2, account.version.next().unwrap());
                account.cents += 1;
                Ok::<_, Error>(())
            };
            let (account, ()) = bank.accounts.modify(&policy, &1, change_key).await.unwrap();
            assert_eq!((account.id, calls), (1, 1));
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap().cents, 102);
        assert_eq!(bank.accounts.get(&2).await.unwrap(), other);
    })
    .await;
}

#[tokio::test]
async fn a_modification_in_a_transaction_locks_the_row() {
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
        let update = bank.accounts.update(&mine);
        let waited = run_blocked(&bank.pool, update, async {
            first.rollback().await.unwrap();
        })
        .await;
        assert_eq!(waited.unwrap().cents, 70);
    })
    .await;
}
