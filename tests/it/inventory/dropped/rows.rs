//! Versioned rows of a table of the host.

use std::time::Duration;

use optilock::{
    RetryPolicy, Version,
    postgres::{
        self, Bulk, Isolation, PgRepository, TransactOptions, WriteOutcome, transact, transact_with,
    },
    sqlx::{self, Connection},
};

use super::OneConnection;
use crate::support::bank::{self, Account};

struct Accounts {
    one: OneConnection,
    /// Uses the one connection.
    accounts: PgRepository<Account>,
    /// Uses other connections.
    direct: PgRepository<Account>,
}

impl Accounts {
    /// Creates a bank with the accounts 1 to 3.
    async fn new() -> Self {
        let one = OneConnection::new().await;
        sqlx::raw_sql(bank::TABLE)
            .execute(&one.db.pool)
            .await
            .unwrap();
        let accounts = PgRepository::new(one.pool.clone());
        let direct = PgRepository::new(one.db.pool.clone());
        for id in 1..=3 {
            direct.insert(&Account::new(id, 0)).await.unwrap();
        }
        Self {
            one,
            accounts,
            direct,
        }
    }
}

/// Runs each expression as an operation that is dropped after each poll. An expression reads what a dropped
/// one may have written, and unwraps the result.
macro_rules! drop_after_each_poll {
    ($one:expr, $($label:literal: $operation:expr;)*) => {$(
        $one.drop_after_each_poll($label, || Box::pin(async { let _ = $operation; })).await;
    )*};
}

fn plus_one(account: &mut Account) -> Result<(), postgres::Error> {
    account.cents += 1;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_of_a_row_leaves_a_clean_connection() {
    let Accounts {
        one,
        accounts,
        direct,
    } = Accounts::new().await;
    drop_after_each_poll! { one,
        "insert": accounts.insert(&Account::new(rand::random(), 0)).await.unwrap();
        "find, get, get_at": {
            accounts.find(&0).await.unwrap();
            let account = accounts.get(&1).await.unwrap();
            accounts.get_at(&1, account.version).await.unwrap()
        };
        "update": accounts.update(&accounts.get(&1).await.unwrap().plus(1)).await.unwrap();
        "a stale update": {
            let mut stale = accounts.get(&1).await.unwrap();
            stale.version = Version::new(i64::MAX).unwrap();
            accounts.update(&stale).await.unwrap_err()
        };
        "compare_and_set": accounts.compare_and_set(&accounts.get(&1).await.unwrap()).await.unwrap();
        "touch": accounts.touch(&1, accounts.get(&1).await.unwrap().version).await.unwrap();
        "delete": {
            let account = Account::new(rand::random(), 0);
            direct.insert(&account).await.unwrap();
            accounts.delete(&account.id, account.version).await.unwrap();
        };
        "update_all": {
            let rows = [accounts.get(&2).await.unwrap(), accounts.get(&1).await.unwrap()];
            let outcomes = accounts.update_all(&rows, Bulk::AllOrNothing).await.unwrap();
            assert!(outcomes.iter().all(WriteOutcome::is_written));
        };
        "update_all of a missing row": {
            let rows = [Account::new(0, 0)];
            let outcomes = accounts.update_all(&rows, Bulk::Each).await.unwrap();
            assert_eq!(outcomes, [WriteOutcome::NotFound]);
        };
        "verify": accounts.verify().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_modification_of_a_row_leaves_a_clean_connection() {
    let Accounts { one, accounts, .. } = Accounts::new().await;
    let policy = RetryPolicy::new();
    let locking = policy.clone().with_locking_after(Some(0));
    drop_after_each_poll! { one,
        "modify": accounts.modify(&policy, &1, plus_one).await.unwrap();
        "modify, locking": accounts.modify(&locking, &1, plus_one).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_of_rows_leaves_a_clean_connection() {
    let Accounts { one, accounts, .. } = Accounts::new().await;
    let (pool, policy) = (&one.pool, RetryPolicy::new());
    drop_after_each_poll! { one,
        "in a transaction": {
            let transaction = transact(pool, &policy, async |tx| {
                let locked = accounts.lock_in(tx, &1).await?;
                let written = accounts.update_in(tx, &locked).await?;
                accounts.touch_in(tx, &1, written.version).await?;
                let price = accounts.get_in(tx, &3).await?;
                accounts.assert_current_in(tx, &3, price.version).await?;
                accounts.modify_in(tx, &2, plus_one).await?;
                let mut savepoint = tx.begin().await?;
                let account = accounts.insert_in(&mut savepoint, &Account::new(rand::random(), 0)).await?;
                accounts.delete_in(&mut savepoint, &account.id, account.version).await?;
                savepoint.commit().await?;
                Ok::<_, postgres::Error>(())
            });
            transaction.await.unwrap();
        };
        "a read-only transaction with timeouts": {
            let options = TransactOptions::new()
                .with_isolation(Isolation::RepeatableRead)
                .with_read_only(true)
                .with_statement_timeout(Duration::from_secs(9));
            let read = transact_with(pool, &policy, &options, async |tx| accounts.get_in(tx, &1).await);
            read.await.unwrap()
        };
    }
}
