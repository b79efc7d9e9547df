//! What a commit counts, and what fails at it.

use optilock::{
    RetryError,
    postgres::{Bulk, Error, Isolation, PgRepository, TransactOptions, transact, transact_with},
    sqlx::{self, Connection, PgPool},
};

use super::ONCE;
use crate::support::{
    bank::{Account, Bank, PLACES},
    connect::pool_of,
    db::eventually,
    notes::raw,
};

const KINDS: [&str; 10] = [
    "read only",
    "serializable",
    "empty",
    "savepoint",
    "failed savepoint",
    "verify",
    "verify_in",
    "modify locked",
    "update_all",
    "nested",
];

/// Runs one transaction of this kind, which commits.
async fn commit(pool: &PgPool, accounts: &PgRepository<Account>, kind: &str) -> Result<(), Error> {
    let options = match kind {
        "read only" => TransactOptions::new().with_read_only(true),
        "serializable" => TransactOptions::new().with_isolation(Isolation::Serializable),
        _ => TransactOptions::new(),
    };
    match kind {
        "verify" => accounts.verify().await,
        "verify_in" => accounts.verify_in(&mut pool.acquire().await.unwrap()).await,
        "modify locked" => accounts
            .modify(&ONCE.with_locking_after(Some(0)), &1, |account| {
                account.cents += 1;
                Ok::<_, Error>(())
            })
            .await
            .map(drop)
            .map_err(|gave_up| gave_up.error),
        "update_all" => {
            let row = accounts.get(&1).await.unwrap();
            accounts.update_all(&[row], Bulk::Each).await.map(drop)
        }
        _ => transact_with(pool, &ONCE, &options, async |tx| {
            match kind {
                "empty" => {}
                "savepoint" => {
                    tx.savepoint(async |tx| accounts.get_in(tx, &1).await.map(drop))
                        .await?
                }
                "failed savepoint" => drop(
                    tx.savepoint(async |tx| raw(tx, "SELECT 1/0").await.map_err(Error::from))
                        .await,
                ),
                "nested" => tx.begin().await?.commit().await?,
                _ => drop(accounts.get_in(tx, &1).await?),
            }
            Ok(())
        })
        .await
        .map_err(|gave_up: RetryError<Error>| gave_up.error),
    }
}

/// The server's `xact_rollback` does not grow for a committed transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_committed_transaction_of_any_kind_counts_no_rollback() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let counters = async || -> (i64, i64) {
        sqlx::query_as("SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&bank.pool)
            .await
            .unwrap()
    };
    let mut wrong = Vec::new();
    for kind in KINDS {
        let before = counters().await;
        let pool = pool_of(&bank.db, 1).await;
        let accounts = PgRepository::<Account>::new(pool.clone());
        for _ in 0..20 {
            if let Err(error) = commit(&pool, &accounts, kind).await {
                wrong.push(format!("{kind}: {error}"));
            }
        }
        pool.close().await;
        eventually("the server has counted", async || {
            counters().await.0 >= before.0 + 20 || counters().await.1 >= before.1 + 20
        })
        .await;
        let rolled_back = counters().await.1 - before.1;
        if rolled_back > 0 {
            wrong.push(format!("{kind}: {rolled_back} rollbacks counted of 20"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A deferred trigger refuses at the commit of a write that commits directly.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_at_its_commit_is_an_error() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        let one = bank.account(1, 100).await;
        bank.run(
            "CREATE FUNCTION bank.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '23514'; END $$;
             CREATE CONSTRAINT TRIGGER no AFTER INSERT OR UPDATE OR DELETE ON bank.accounts DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION bank.no()",
        )
        .await;
        bank.accounts.update(&one.plus(1)).await.unwrap_err();
        bank.accounts.insert(&Account::new(2, 1)).await.unwrap_err();
        bank.accounts.touch(&1, one.version).await.unwrap_err();
        bank.accounts.delete(&1, one.version).await.unwrap_err();
        bank.accounts
            .update_all(&[one.plus(1)], Bulk::Each)
            .await
            .unwrap_err();
        let ended: Result<Account, RetryError<Error>> = transact(&bank.pool, &ONCE, async |tx| {
            bank.accounts.update_in(tx, &one.plus(1)).await
        })
        .await;
        ended.unwrap_err();
        let stored: Vec<(i64, String, i64, i64)> =
            sqlx::query_as("SELECT id, owner, cents, version FROM bank.accounts")
                .fetch_all(&bank.pool)
                .await
                .unwrap();
        assert_eq!(stored, [(1, "owner 1".to_owned(), 100, 1)]);
    }
}
