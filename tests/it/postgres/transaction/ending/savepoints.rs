//! Savepoints that are released, rolled back, dropped or leaked.

use std::{pin::pin, sync::Mutex};

use optilock::{
    StopReason,
    postgres::{Tx, transact},
    sqlx::{self, Connection},
};

use super::POLICY;
use crate::support::{
    connect::pool_of,
    db::assert_idle,
    notes::{note, notes, raw, with_notes},
    polling::PollAtMost,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_undoes_its_own_statements() {
    let db = with_notes().await;
    transact(&db.pool, &POLICY, async |tx| {
        note(tx, "first").await?;
        let refused: Result<(), sqlx::Error> = tx
            .savepoint(async |tx| {
                note(tx, "undone").await?;
                raw(tx, "SELECT 1 / 0").await
            })
            .await;
        assert!(refused.is_err());
        let swallowed: Result<(), sqlx::Error> = tx
            .savepoint(async |tx| {
                note(tx, "undone too").await?;
                let _swallowed = raw(tx, "SELECT 1 / 0").await;
                Ok(())
            })
            .await;
        assert_eq!(
            swallowed
                .unwrap_err()
                .as_database_error()
                .unwrap()
                .code()
                .unwrap(),
            "25P02"
        );
        tx.savepoint(async |tx| {
            note(tx, "second").await?;
            let inner: Result<(), sqlx::Error> = tx
                .savepoint(async |tx| {
                    note(tx, "undone inside").await?;
                    Err(sqlx::Error::RowNotFound)
                })
                .await;
            assert!(inner.is_err());
            // A savepoint of sqlx is one level deeper.
            let mut nested = tx.begin().await?;
            note(&mut nested, "third").await?;
            nested.commit().await
        })
        .await?;
        note(tx, "last").await
    })
    .await
    .unwrap();
    assert_eq!(notes(&db.pool).await, ["first", "second", "third", "last"]);
    assert_idle(&db.pool).await;
}

/// A savepoint is dropped after each of its polls. The transaction commits with all statements of the
/// savepoint or with none, or is rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_savepoint_leaves_the_transaction_whole() {
    async fn inside(tx: &mut Tx<'_>) -> Result<(), sqlx::Error> {
        note(tx, "inside").await?;
        note(tx, "inside").await
    }
    let db = with_notes().await;
    let pool = pool_of(&db, 1).await;
    for polls in 1.. {
        assert!(polls < 100, "the savepoint does not end");
        sqlx::raw_sql("TRUNCATE public.notes")
            .execute(&db.pool)
            .await
            .unwrap();
        let finished = Mutex::new(false);
        let ended = transact(&pool, &POLICY, async |tx| {
            note(tx, "before").await?;
            {
                let savepoint = pin!(tx.savepoint(async |tx| inside(tx).await));
                let outcome = PollAtMost(savepoint, polls).await;
                *finished.lock().unwrap() = outcome.transpose()?.is_some();
            }
            note(tx, "after").await
        })
        .await;
        let stored = notes(&db.pool).await;
        match (*finished.lock().unwrap(), ended) {
            (true, ended) => {
                ended.unwrap();
                assert_eq!(stored, ["before", "inside", "inside", "after"]);
                break;
            }
            // SAVEPOINT was not answered yet, so the savepoint has no statements.
            (false, Ok(())) => assert_eq!(stored, ["before", "after"], "{polls} polls"),
            (false, Err(error)) => {
                assert_eq!(
                    error.reason,
                    StopReason::Permanent,
                    "{polls} polls: {error:?}"
                );
                assert_eq!(stored, [""; 0], "{polls} polls");
            }
        }
    }
    assert_idle(&db.pool).await;
}

/// A nested transaction of sqlx is leaked, so that the outer COMMIT would only release a savepoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_savepoint_rolls_back_the_transaction() {
    let db = with_notes().await;
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        std::mem::forget(tx.begin().await?);
        note(tx, "after").await
    })
    .await
    .unwrap_err();
    assert_eq!(ended.reason, StopReason::Permanent, "{ended:?}");
    assert_idle(&db.pool).await;
    assert_eq!(notes(&db.pool).await, [""; 0]);
}
