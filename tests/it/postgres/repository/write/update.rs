//! Updates.

use optilock::{
    postgres::{Bulk, WriteOutcome},
    sqlx,
};

use crate::{
    postgres::repository::assertions::{assert_conflict, version},
    support::bank::{Account, everywhere, until_waiting},
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

/// While the first writer's transaction is open, the second waits; then it has lost.
#[tokio::test]
async fn an_update_that_waited_for_another_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        for lose in [true, false] {
            let read = bank.accounts.get(&1).await.unwrap().plus(read.cents);
            let mut first = bank.pool.begin().await.unwrap();
            bank.accounts
                .update_in(&mut first, &read.plus(5))
                .await
                .unwrap();
            let mine = read.plus(7);
            let second = bank.accounts.update(&mine);
            let ending = async {
                bank.waits().await;
                if lose {
                    first.commit().await.unwrap();
                } else {
                    first.rollback().await.unwrap();
                }
            };
            let (second, ()) = tokio::join!(second, ending);
            let was = read.version.get();
            if lose {
                assert_conflict(second, was, was + 1);
            } else {
                assert_eq!(second.unwrap().cents, mine.cents);
            }
        }
    })
    .await;
}

/// Unlike some, a write is a write also when it changes no value: the version grows, and who had
/// read before is refused.
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
    let db = crate::support::db::Db::empty().await;
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
    let accounts = optilock::postgres::PgRepository::<Account>::new(db.pool.clone());
    let mut read = Account::new(1, 100);
    "north".clone_into(&mut read.owner);
    let read = accounts.insert(&read).await.unwrap();
    let mut mover = db.pool.begin().await.unwrap();
    let mut moved = read.clone();
    "south".clone_into(&mut moved.owner);
    accounts.update_in(&mut mover, &moved).await.unwrap();
    let mine = read.plus(5);
    let ending = async {
        until_waiting(&db.pool).await;
        mover.commit().await.unwrap();
    };
    let (lost, ()) = tokio::join!(accounts.update(&mine), ending);
    assert_conflict(lost, 1, 2);
}

/// An edit that takes another row's unique value is an everyday refusal, not a failure.
#[tokio::test]
async fn an_update_to_a_taken_unique_value_is_refused() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return; // An index without the key of the partitions can't be unique there.
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
