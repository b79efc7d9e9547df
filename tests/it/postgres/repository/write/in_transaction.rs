//! Writes in a transaction of the caller.

use optilock::{
    Class, Classify,
    postgres::{Error, ErrorKind, transact},
    sqlx::{self, Connection},
};
use tokio::task::JoinSet;

use crate::{
    postgres::repository::assertions::{assert_conflict, version},
    support::{
        bank::{Bank, PATIENT, everywhere, transaction},
        db::Default,
    },
};

#[tokio::test]
async fn a_second_update_in_a_transaction_needs_the_version_of_the_first() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let twice = transaction!(bank, conn => {
            let once = bank.accounts.update_in(conn, &read.plus(5)).await.unwrap();
            assert_conflict(bank.accounts.update_in(conn, &read.plus(9)).await, 1, 2);
            bank.accounts.update_in(conn, &once.plus(5)).await.unwrap()
        });
        assert_eq!((twice.cents, twice.version), (110, version(3)));
        assert_eq!(bank.accounts.get(&1).await.unwrap(), twice);
    })
    .await;
}

#[tokio::test]
async fn a_row_can_be_written_again_after_a_rollback() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mine = read.plus(5);
        let mut transaction = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &mine)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        // The value still has the version that was read, because an update leaves its argument unchanged.
        let written = bank.accounts.update(&mine).await.unwrap();
        assert_eq!((written.cents, written.version), (105, version(2)));

        let mut transaction = bank.pool.begin().await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        bank.accounts
            .update_in(&mut savepoint, &written.plus(1))
            .await
            .unwrap();
        savepoint.rollback().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &written.plus(2))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap().cents, 107);
    })
    .await;
}

/// READ COMMITTED reports the current version, and the other levels abort the transaction.
#[tokio::test]
async fn a_conflict_in_a_transaction_reports_what_its_isolation_level_allows() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut slow = bank.pool.begin().await.unwrap();
        sqlx::query("SELECT 1").execute(&mut *slow).await.unwrap();
        bank.accounts.get_in(&mut slow, &1).await.unwrap();
        bank.accounts.update(&read.plus(5)).await.unwrap();
        let lost = bank.accounts.update_in(&mut slow, &read.plus(7)).await;
        match bank.place.default {
            Default::ReadCommitted => assert_conflict(lost, 1, 2),
            _ => {
                let lost = lost.unwrap_err();
                assert_eq!(lost.kind(), ErrorKind::Serialization, "{lost:?}");
                assert_eq!(lost.class(), Class::Conflict);
            }
        }
        slow.rollback().await.unwrap();
        // `transact` repeats such a transaction.
        let written = transact(&bank.pool, &PATIENT, async |tx| {
            let row = bank.accounts.lock_in(tx, &1).await?;
            bank.accounts.update_in(tx, &row.plus(7)).await
        })
        .await
        .unwrap();
        assert_eq!((written.cents, written.version), (112, version(3)));
    })
    .await;
}

/// Each change of an entry touches the account. Changes of different entries therefore conflict, and a rule
/// over all entries holds.
#[tokio::test]
async fn an_aggregate_is_guarded_by_its_root() {
    everywhere(async |bank| {
        bank.run(
            "CREATE TABLE bank.entries (account bigint, cents bigint NOT NULL);
             INSERT INTO bank.accounts VALUES (1, 'both', 0, 1)",
        )
        .await;
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            let bank = bank.clone();
            writers.spawn(async move { add_entry(&bank).await });
        }
        let made = writers.join_all().await;
        assert_eq!(made.into_iter().filter(|&made| made).count(), 3);
        let root = bank.accounts.get(&1).await.unwrap();
        assert_eq!(root.version, version(4));
    })
    .await;
}

/// Adds an entry of 30 unless the entries would exceed 100. Returns whether it was added.
async fn add_entry(bank: &Bank) -> bool {
    let entered = transact(&bank.pool, &PATIENT, async |tx| {
        let root = bank.accounts.get_in(tx, &1).await?;
        let sum = "SELECT coalesce(sum(cents), 0)::bigint FROM bank.entries WHERE account = 1";
        let sum: i64 = sqlx::query_scalar(sum).fetch_one(&mut **tx).await?;
        if sum + 30 > 100 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO bank.entries VALUES (1, 30)")
            .execute(&mut **tx)
            .await?;
        bank.accounts.touch_in(tx, &1, root.version).await?;
        Ok::<_, Error>(true)
    });
    entered.await.unwrap()
}
