//! Updates.

use optilock::{
    postgres::{Bulk, PgRepository, WriteOutcome},
    sqlx,
};

use crate::{
    postgres::repository::assertions::{assert_conflict, run_blocked, version},
    support::{
        bank::{Account, everywhere},
        db::Db,
    },
};

#[tokio::test]
async fn an_update_returns_the_row_at_the_next_version_and_leaves_its_argument_unchanged() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mine = read.plus(5);
        let written = bank.accounts.update(&mine).await.unwrap();
        assert_eq!(mine, read.plus(5));
        assert_eq!((written.cents, written.version), (105, version(2)));
        assert_eq!(bank.accounts.get(&1).await.unwrap(), written);
    })
    .await;
}

#[tokio::test]
async fn a_stale_update_is_refused_with_both_versions() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let first = bank.accounts.update(&read.plus(5)).await.unwrap();
        assert_conflict(bank.accounts.update(&read.plus(7)).await, 1, 2);
        assert_eq!(bank.accounts.get(&1).await.unwrap(), first);
        let outcome = bank.accounts.compare_and_set(&read.plus(7)).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Stale(first));
    })
    .await;
}

/// The second writer waits for the first transaction, and is refused if that transaction is committed.
#[tokio::test]
async fn an_update_that_waited_for_another_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        for first_commits in [true, false] {
            let read = bank.accounts.get(&1).await.unwrap().plus(read.cents);
            let mut first = bank.pool.begin().await.unwrap();
            bank.accounts
                .update_in(&mut first, &read.plus(5))
                .await
                .unwrap();
            let mine = read.plus(7);
            let update = bank.accounts.update(&mine);
            let second = run_blocked(&bank.pool, update, async {
                if first_commits {
                    first.commit().await.unwrap();
                } else {
                    first.rollback().await.unwrap();
                }
            })
            .await;
            let was = read.version.get();
            if first_commits {
                assert_conflict(second, was, was + 1);
            } else {
                assert_eq!(second.unwrap().cents, mine.cents);
            }
        }
    })
    .await;
}

/// A write that changes no value advances the version as well, and refuses writers of the old version.
#[tokio::test]
async fn an_update_without_a_change_advances_the_version() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        assert_eq!(
            bank.accounts.update(&read).await.unwrap().version,
            version(2)
        );
        assert_conflict(bank.accounts.update(&read).await, 1, 2);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_moves_to_another_partition_is_a_conflict() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE SCHEMA bank;
         CREATE TABLE bank.accounts (id bigint, owner text NOT NULL, cents bigint NOT NULL,
             version bigint NOT NULL, PRIMARY KEY (id, owner)) PARTITION BY LIST (owner);
         CREATE TABLE bank.north PARTITION OF bank.accounts FOR VALUES IN ('north');
         CREATE TABLE bank.south PARTITION OF bank.accounts FOR VALUES IN ('south')",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    let mut read = Account::new(1, 100);
    "north".clone_into(&mut read.owner);
    let read = accounts.insert(&read).await.unwrap();
    let mut mover = db.pool.begin().await.unwrap();
    let mut moved = read.clone();
    "south".clone_into(&mut moved.owner);
    accounts.update_in(&mut mover, &moved).await.unwrap();
    let mine = read.plus(5);
    let lost = run_blocked(&db.pool, accounts.update(&mine), async {
        mover.commit().await.unwrap();
    })
    .await;
    assert_conflict(lost, 1, 2);
}

#[tokio::test]
async fn an_update_to_a_taken_unique_value_is_refused() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return; // A unique index must contain the partition key.
        }
        bank.run("CREATE UNIQUE INDEX one_owner ON bank.accounts (owner)")
            .await;
        let first = bank.account(1, 0).await;
        let mut second = bank.account(2, 0).await;
        second.owner.clone_from(&first.owner);
        let bulk = std::slice::from_ref(&second);
        for refused in [
            bank.accounts.update(&second).await.map(drop),
            bank.accounts.update_all(bulk, Bulk::Each).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(
                refused.to_string(),
                "account 2 can't be written: what one_owner keeps unique is taken"
            );
            assert_eq!(refused.http_status(), 409);
        }
    })
    .await;
}
