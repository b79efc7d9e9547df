//! Writes that a trigger, a policy or an ambiguous id prevents.

use optilock::{
    Class, Classify,
    postgres::{Error, ErrorKind, WriteOutcome},
    sqlx::Connection,
};

use crate::{
    postgres::repository::assertions::{assert_conflict, assert_several, version},
    support::bank::{Account, CHILD, KEEPERS, as_clerk, everywhere},
};

#[tokio::test]
async fn a_write_swallowed_by_a_trigger_is_suppressed() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.run(
            "CREATE FUNCTION bank.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT OR UPDATE OR DELETE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.swallow()",
        )
        .await;
        for result in [
            bank.accounts.update(&read.plus(5)).await.map(drop),
            bank.accounts.touch(&1, read.version).await.map(drop),
            bank.accounts.delete(&1, read.version).await,
            bank.accounts.insert(&Account::new(1, 0)).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Suppressed, "{error:?}");
            assert_eq!(error.class(), Class::Permanent);
        }
        let outcome = bank.accounts.compare_and_set(&read).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Suppressed);
        let mut stale = read.plus(5);
        stale.version = version(4);
        assert_conflict(bank.accounts.update(&stale).await, 4, 1);
    })
    .await;
}

/// A policy shows a row and protects it from writes. The error is the same with and without a lock.
#[tokio::test]
async fn every_write_of_a_protected_row_is_suppressed() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.run(
            "ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY sees ON bank.accounts FOR SELECT USING (true);
             CREATE POLICY writes ON bank.accounts FOR UPDATE USING (id <> 1)",
        )
        .await;
        as_clerk!(bank, conn => {
            for refused in [
                bank.accounts.update_in(conn, &read).await.map(drop),
                bank.accounts.lock_in(conn, &1).await.map(drop),
                bank.accounts.assert_current_in(conn, &1, read.version).await,
                bank.accounts.modify_in::<_, Error>(conn, &1, |_| Ok(())).await.map(drop),
            ] {
                let refused = refused.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
            }
            assert!(bank.accounts.lock_in(conn, &2).await.unwrap_err().is_not_found());
        });
    })
    .await;
}

/// Otherwise two writers of one version would both succeed, and the first write would be lost.
#[tokio::test]
async fn a_trigger_that_keeps_the_version_suppresses_the_write() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.account(1, 100).await;
            let other = bank.account(2, 100).await;
            bank.run(keeper).await;
            for result in [
                bank.accounts.update(&read.plus(5)).await.map(drop),
                bank.accounts.update(&read.plus(7)).await.map(drop),
                bank.accounts.touch(&1, read.version).await.map(drop),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Suppressed, "{error:?}");
                assert!(error.to_string().contains("account 1"), "{error}");
                assert_eq!(error.class(), Class::Permanent);
            }
            let outcome = bank.accounts.compare_and_set(&read.plus(5)).await.unwrap();
            assert_eq!(outcome, WriteOutcome::Suppressed);
            assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
            let mut stale = read.plus(5);
            stale.version = version(4);
            assert_conflict(bank.accounts.update(&stale).await, 4, 1);

            // The trigger applies neither to row 2 nor to a deletion.
            assert_eq!(
                bank.accounts.update(&other).await.unwrap().version,
                version(2)
            );
            bank.accounts.delete(&1, read.version).await.unwrap();
        })
        .await;
    }
}

/// In a transaction the failed statement is an error instead of an outcome. Earlier writes can be committed
/// only if the failed write was in a savepoint.
#[tokio::test]
async fn a_suppressed_write_aborts_its_savepoint_or_its_transaction() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let other = bank.account(2, 100).await;
        bank.run(KEEPERS[0]).await;
        let mut transaction = bank.pool.begin().await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        let error = bank
            .accounts
            .compare_and_set_in(&mut savepoint, &read.plus(5))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Suppressed, "{error:?}");
        savepoint.rollback().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &other.plus(5))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&2).await.unwrap().cents, 105);

        let mut transaction = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &read.plus(5))
            .await
            .unwrap_err();
        let refused = bank
            .accounts
            .get_in(&mut transaction, &2)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("database failed"),
            "{refused:?}"
        );
        transaction.rollback().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
    })
    .await;
}

/// A table that inherits from accounts can contain the same id again.
#[tokio::test]
async fn an_ambiguous_id_writes_no_row() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        let read = bank.account(1, 100).await;
        bank.run("INSERT INTO bank.child VALUES (1, 'a child', 7, 1), (2, 'alone', 7, 1)")
            .await;
        for result in [
            bank.accounts.update(&read.plus(5)).await.map(drop),
            bank.accounts.touch(&1, read.version).await.map(drop),
            bank.accounts.delete(&1, read.version).await,
            bank.accounts.compare_and_set(&read.plus(5)).await.map(drop),
        ] {
            assert_several(result);
        }
        assert_eq!(bank.sum().await, 114);
        assert_eq!(
            bank.accounts.touch(&2, version(1)).await.unwrap(),
            version(2)
        );
    })
    .await;
}
