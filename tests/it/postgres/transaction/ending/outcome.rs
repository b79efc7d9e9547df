//! The outcome of a transaction whose operation ended it, failed or lost a connection.

use std::sync::Mutex;

use optilock::{
    postgres::{PoolOptions, Tx, transact},
    sqlx::{self, Connection, PgConnection},
};

use super::{AppError, POLICY, assert_unknown};
use crate::support::{
    db::assert_idle,
    notes::{note, notes, raw, with_notes},
    polling::poll_once,
};

/// Begins a savepoint and drops it before the server has answered. A slow statement precedes it, because
/// otherwise the answer may have arrived at the first poll.
async fn drop_a_begin(tx: &mut Tx<'_>) {
    assert!(!poll_once(raw(tx, "SELECT pg_sleep(0.05)")).await);
    assert!(!poll_once(tx.begin()).await);
}

/// The guard of a dropped `begin` of sqlx queues a ROLLBACK of the outer transaction, and later statements
/// commit on their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_begin_is_unknown_and_not_repeated() {
    let db = with_notes().await;
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        drop_a_begin(tx).await;
        note(tx, "after").await
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["after"]);
    // After a conflict, a second attempt would repeat what the first one stored.
    let ended: Result<(), _> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        drop_a_begin(tx).await;
        note(tx, "after").await?;
        Err(AppError::Conflict)
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["after", "after"]);
    assert_idle(&db.pool).await;
}

/// An operation ends its transaction by statements of its own, in each order.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_sql_is_unknown_and_not_repeated() {
    const ENDINGS: [&[&str]; 8] = [
        &["COMMIT"],
        &["COMMIT", "BEGIN"],
        &["COMMIT", "BEGIN", "SELECT 1 / 0"],
        &["ROLLBACK"],
        &["ROLLBACK", "BEGIN"],
        &["ROLLBACK", "SELECT 1 / 0"],
        &["COMMIT AND CHAIN"],
        &["COMMIT", "SELECT 1 / 0"],
    ];
    let db = with_notes().await;
    for ending in ENDINGS {
        for fails in [false, true] {
            let ended = transact(&db.pool, &POLICY, async |tx| {
                note(tx, "before").await?;
                for &statement in ending {
                    let _swallowed = raw(tx, statement).await;
                }
                let _swallowed = note(tx, "after").await;
                if fails {
                    Err(AppError::Conflict)
                } else {
                    Ok(())
                }
            })
            .await;
            assert_unknown(ended);
        }
    }
    // No connection is left in a transaction, and the next transaction reports its true outcome.
    transact(&db.pool, &POLICY, async |tx| note(tx, "last").await)
        .await
        .unwrap();
    assert_eq!(notes(&db.pool).await.last().unwrap(), "last");
    assert_idle(&db.pool).await;
}

/// The operation returns an error after a failed statement. The transaction accepts no more statements and
/// is rolled back as a whole, and a conflict is retried.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_rolls_back_the_whole_attempt() {
    let db = with_notes().await;
    let attempts = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "once").await?;
        if tx.attempt().number() < 3 {
            let _swallowed = raw(tx, "SELECT 1 / 0").await;
            return Err(AppError::Conflict);
        }
        Ok(tx.attempt().number())
    })
    .await
    .unwrap();
    assert_eq!(
        (attempts, notes(&db.pool).await),
        (3, vec!["once".to_owned()])
    );
    assert_idle(&db.pool).await;
}

/// The class that an error of the host reports is kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_of_the_operation_is_not_repeated() {
    let db = with_notes().await;
    let charges = Mutex::new(0);
    let ended: Result<(), _> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "paid").await?;
        *charges.lock().unwrap() += 1;
        Err(AppError::Charged)
    })
    .await;
    assert_unknown(ended);
    assert_eq!(*charges.lock().unwrap(), 1);
    assert_eq!(
        notes(&db.pool).await,
        [""; 0],
        "the rows of the transaction are rolled back"
    );
    assert_idle(&db.pool).await;
}

/// If the operation loses the connection of its transaction, nothing was committed. If it loses another
/// connection, the outcome of that connection's write is unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_in_the_operation_is_judged_by_its_owner() {
    let db = with_notes().await;
    let other = PoolOptions::new()
        .max_connections(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let kill = async |victim: &mut PgConnection| -> Result<(), sqlx::Error> {
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *victim)
            .await?;
        sqlx::query("SELECT pg_terminate_backend($1)")
            .bind(pid)
            .execute(&db.pool)
            .await?;
        // Statements succeed until the server has ended the backend.
        loop {
            sqlx::query("SELECT 1").execute(&mut *victim).await?;
        }
    };
    let attempts = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "own").await?;
        if tx.attempt().number() == 1 {
            kill(tx).await?;
        }
        Ok::<_, sqlx::Error>(tx.attempt().number())
    })
    .await;
    assert_eq!(attempts.unwrap(), 2);
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "other").await?;
        kill(&mut *other.acquire().await?).await
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["own"]);
    assert_idle(&db.pool).await;
}
