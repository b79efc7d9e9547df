//! Savepoints that fail, panic or are dropped.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use optilock::{Class, Classify, RetryError, StopReason, postgres::transact, sqlx};

use super::{AppError, POLICY};
use crate::support::{
    db::{backend_pid, terminate_backend},
    notes::{note, notes, with_notes},
    polling::{CatchPanic, poll_times},
};

/// `Tx::savepoint`: "when it fails [its statements] are rolled back"; a dropped one: "the whole transaction
/// ends rolled back, with an error".
#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_that_fails_around_a_dropped_one_is_rolled_back() {
    let mut wrong = Vec::new();
    for polls in 1..8 {
        let db = with_notes().await;
        let ended: Result<(), RetryError<AppError>> = transact(&db.pool, &POLICY, async |tx| {
            let outer: Result<(), AppError> = tx
                .savepoint(async |tx| {
                    note(tx, "outer").await?;
                    let inner = tx.savepoint(async |tx| {
                        note(tx, "inner").await?;
                        note(tx, "inner 2").await?;
                        Ok::<_, AppError>(())
                    });
                    poll_times(polls, Duration::from_millis(20), inner).await;
                    Err(AppError::Refused)
                })
                .await;
            assert!(outer.is_err());
            note(tx, "after").await?;
            Ok(())
        })
        .await;
        let stored = notes(&db.pool).await;
        let correct = match &ended {
            Ok(()) => stored == ["after"],
            Err(_) => stored.is_empty(),
        };
        if !correct {
            wrong.push(format!(
                "polls {polls}: {:?}, stored {stored:?}",
                ended.map_err(|it| it.to_string())
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Guide, transactions: "An error whose own class is Unknown, such as that of a card that may have been
/// charged, ends `transact` without another attempt."
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_error_in_a_savepoint_stays_unknown_if_the_connection_is_lost() {
    let db = with_notes().await;
    let charges = AtomicU32::new(0);
    let ended: Result<(), RetryError<AppError>> = transact(&db.pool, &POLICY, async |tx| {
        tx.savepoint(async |tx| {
            note(tx, "order").await?;
            charges.fetch_add(1, SeqCst);
            let pid = backend_pid(tx).await?;
            terminate_backend(&db.pool, pid).await;
            Err::<(), _>(AppError::Charged)
        })
        .await
    })
    .await;
    let ended = ended.unwrap_err();
    assert_eq!(
        (charges.load(SeqCst), ended.reason),
        (1, StopReason::Unknown),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_with_a_caught_panic_is_rolled_back() {
    let db = with_notes().await;
    let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        {
            let inner = pin!(tx.savepoint(async |tx| {
                note(tx, "inner").await?;
                if true {
                    panic!("inside");
                }
                Ok::<_, sqlx::Error>(())
            }));
            CatchPanic(inner).await.unwrap_err();
        }
        note(tx, "after").await
    })
    .await;
    assert!(ended.is_err());
    assert!(notes(&db.pool).await.is_empty());
}

/// An operation swaps the connections of two transactions: the outcome of both is unknown.
#[tokio::test(flavor = "multi_thread")]
async fn swapped_connections_are_noticed() {
    let db = with_notes().await;
    let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &POLICY, async |outer| {
        note(outer, "outer").await?;
        let cell = tokio::sync::Mutex::new(outer);
        let inner: Result<(), RetryError<sqlx::Error>> =
            transact(&db.pool, &POLICY, async |inner| {
                note(inner, "inner").await?;
                let mut outer = cell.lock().await;
                std::mem::swap(&mut ***outer, &mut **inner);
                Ok(())
            })
            .await;
        assert_eq!(inner.unwrap_err().class(), Class::Unknown);
        Ok(())
    })
    .await;
    assert_eq!(ended.unwrap_err().class(), Class::Unknown);
    assert!(notes(&db.pool).await.is_empty());
}
