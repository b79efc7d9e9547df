//! The guide's trigger, which counts the version of a root whose children are written without a `touch`.

use optilock::{
    RetryPolicy, StopReason, Version,
    postgres::{Error, PgRepository, transact},
    sqlx::{self, PgPool},
    versioned_row,
};
use tokio::task::JoinSet;

use crate::support::{
    bank::PATIENT,
    db::{Db, assert_idle, sql_of},
    triggers::run,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Account {
    id: i64,
    owner: String,
    cents: i64,
    version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

/// Creates the tables by the blocks of the page, with three accounts at version 1.
async fn bank(with_trigger: bool) -> (Db, PgRepository<Account>) {
    let db = Db::empty().await;
    let [table, trigger] = sql_of(include_str!("../../../../src/guide/rows.md"));
    let entries = "CREATE TABLE bank.entries (id bigserial PRIMARY KEY, account bigint NOT NULL REFERENCES bank.accounts,
        cents bigint NOT NULL)";
    let rows = "INSERT INTO bank.accounts SELECT n, 'owner', 0 FROM generate_series(1, 3) AS n";
    run(
        &db.pool,
        format!("CREATE SCHEMA bank; {table}; {entries}; {rows}"),
    )
    .await;
    if with_trigger {
        run(&db.pool, trigger).await;
    }
    let accounts = PgRepository::new(db.pool.clone());
    (db, accounts)
}

async fn versions(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT version FROM bank.accounts ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Adds an entry of 30 if the sum stays within 100. Touches the account after it, as the guide does.
async fn enter(
    pool: &PgPool,
    accounts: &PgRepository<Account>,
    policy: &RetryPolicy,
    meanwhile: impl AsyncFn(),
) -> Result<bool, optilock::RetryError<Error>> {
    transact(pool, policy, async |tx| {
        let root = accounts.get_in(tx, &1).await?;
        let sum: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(cents), 0)::bigint FROM bank.entries WHERE account = 1",
        )
        .fetch_one(&mut **tx)
        .await?;
        meanwhile().await;
        if sum + 30 > 100 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO bank.entries (account, cents) VALUES (1, 30)")
            .execute(&mut **tx)
            .await?;
        accounts.touch_in(tx, &1, root.version).await?;
        Ok::<_, Error>(true)
    })
    .await
}

#[tokio::test]
async fn every_write_of_a_child_counts_its_root_once() {
    let (db, accounts) = bank(true).await;
    for (sql, expected) in [
        (
            "INSERT INTO bank.entries (account, cents) VALUES (1, 5), (1, 6), (2, 7)",
            [2, 2, 1],
        ),
        (
            "UPDATE bank.entries SET cents = 8 WHERE account = 2",
            [2, 3, 1],
        ),
        (
            "UPDATE bank.entries SET account = 3 WHERE account = 2",
            [2, 4, 2],
        ),
        ("DELETE FROM bank.entries WHERE account = 1", [3, 4, 2]),
        ("DELETE FROM bank.entries WHERE account = 1", [3, 4, 2]),
    ] {
        run(&db.pool, sql).await;
        assert_eq!(versions(&db.pool).await, expected, "{sql}");
    }
    // A transaction that touches the root after its write is counted once, by its touch.
    assert!(
        enter(&db.pool, &accounts, &RetryPolicy::new(), async || {})
            .await
            .unwrap()
    );
    assert_eq!(versions(&db.pool).await, [4, 4, 2]);
}

/// A writer that touches the root meets a conflict after a write by code that does not. Without the trigger it
/// would not, and the sum would pass its limit.
#[tokio::test]
async fn code_that_forgets_to_touch_is_noticed() {
    for with_trigger in [true, false] {
        let (db, accounts) = bank(with_trigger).await;
        let once = RetryPolicy::new().with_max_attempts(1);
        let forgetful = async || {
            run(
                &db.pool,
                "INSERT INTO bank.entries (account, cents) VALUES (1, 90)",
            )
            .await;
        };
        let entered = enter(&db.pool, &accounts, &once, forgetful).await;
        if with_trigger {
            let conflict = entered.unwrap_err();
            assert_eq!(conflict.reason, StopReason::Attempts);
            assert!(conflict.error.is_conflict());
            // It decides again, with the entry.
            let entered = enter(&db.pool, &accounts, &once, async || {}).await;
            assert!(!entered.unwrap());
        } else {
            assert!(entered.unwrap(), "the table has no trigger");
        }
    }
}

/// Of many writers, half of which forget the touch, those that do not keep their rule against each other, and
/// each transaction is counted.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_are_all_counted() {
    let (db, accounts) = bank(true).await;
    let mut tasks = JoinSet::new();
    for writer in 0..16 {
        let (pool, accounts) = (db.pool.clone(), accounts.clone());
        tasks.spawn(async move {
            if writer % 2 == 0 {
                let zero = "INSERT INTO bank.entries (account, cents) VALUES (1, 0)";
                run(&pool, zero).await;
                return true;
            }
            enter(&pool, &accounts, &PATIENT, async || {})
                .await
                .unwrap()
        });
    }
    let done = tasks.join_all().await;
    let entered = done.iter().filter(|it| **it).count();
    assert_eq!(entered, 8 + 3, "three entries of 30 fit");
    assert_eq!(versions(&db.pool).await, [1 + 11, 1, 1]);
    assert_idle(&db.pool).await;
}
