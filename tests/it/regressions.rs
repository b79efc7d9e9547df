//! Faults that attacks from outside found, each against a promise of the documentation.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use optilock::{
    Class, Classify, RetryError, RetryPolicy, StopReason, Version,
    inventory::BoxError,
    postgres::{self, Bulk, PgRepository, TransactOptions, WriteOutcome, transact, transact_with},
    sqlx::{self, PgConnection, PgPool},
    versioned_row,
};

use crate::{
    postgres::transaction_end::{note, notes, raw, with_notes},
    support::bank::{Account, Bank, PLACES, until_waiting},
    support::db::{Db, eventually, pool_options},
};

const POLICY: RetryPolicy = RetryPolicy::new().with_base_delay(Duration::from_millis(1));

/// Polls it so often, and drops it.
async fn polled<F: Future>(times: u32, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let done = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if done {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

async fn pid(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(conn)
        .await
}

async fn kill(pool: &PgPool, pid: i32) {
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(pool)
        .await
        .unwrap();
    eventually("it is gone", async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = $1")
            .bind(pid)
            .fetch_one(pool)
            .await
            .unwrap();
        left == 0
    })
    .await;
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the card may have been charged")]
    Charged,
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Charged => Class::Unknown,
            Self::Refused => Class::Permanent,
            Self::Database(error) => error.class(),
        }
    }
}

/// Tx::savepoint: "when it fails [its statements] are rolled back"; a dropped one: "the whole transaction
/// ends rolled back, with an error".
#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_that_fails_around_a_dropped_one_is_undone() {
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
                    polled(polls, inner).await;
                    Err(AppError::Refused)
                })
                .await;
            assert!(outer.is_err());
            note(tx, "after").await?;
            Ok(())
        })
        .await;
        let stored = notes(&db.pool).await;
        let right = match &ended {
            Ok(()) => stored == ["after"],
            Err(_) => stored.is_empty(),
        };
        if !right {
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
async fn a_charge_in_a_savepoint_is_unknown_though_the_connection_is_lost() {
    let db = with_notes().await;
    let charges = AtomicU32::new(0);
    let ended: Result<(), RetryError<AppError>> = transact(&db.pool, &POLICY, async |tx| {
        tx.savepoint(async |tx| {
            note(tx, "order").await?;
            charges.fetch_add(1, SeqCst);
            let pid = pid(tx).await?;
            kill(&db.pool, pid).await;
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

/// No conversion on the way loses an unknown outcome. The chain of sources: an error that is
/// shared (moka's `try_get_with`), or boxed for its size (clippy's `result_large_err`).
#[test]
fn an_unknown_in_an_arc_or_a_box_stays_unknown() {
    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped<E: std::error::Error + 'static>(#[source] E);
    let lost = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
    let all: [(&str, BoxError); 6] = [
        ("plain", Box::new(Wrapped(lost()))),
        ("Arc", Box::new(Arc::new(lost()))),
        ("source: Arc", Box::new(Wrapped(Arc::new(lost())))),
        ("source: Box", Box::new(Wrapped(Box::new(lost())))),
        (
            "source: Arc<postgres::Error>",
            Box::new(Wrapped(Arc::new(postgres::Error::from(lost())))),
        ),
        ("io::Error::other", Box::new(std::io::Error::other(lost()))),
    ];
    let lost: Vec<&str> = all
        .iter()
        .filter(|(_, it)| it.class() != Class::Unknown)
        .map(|(name, _)| *name)
        .collect();
    assert!(lost.is_empty(), "Unknown was lost in: {lost:?}");
}

/// A write in a
/// transaction that the host itself declared read-only is a bug, not a failover.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_a_read_only_transaction_is_no_busy_database() {
    let db = with_notes().await;
    let tries = AtomicU32::new(0);
    let options = TransactOptions::new().with_read_only(true);
    let ended: Result<(), RetryError<sqlx::Error>> =
        transact_with(&db.pool, &POLICY, &options, async |tx| {
            tries.fetch_add(1, SeqCst);
            note(tx, "never").await
        })
        .await;
    let ended = ended.unwrap_err();
    assert_eq!(
        (tries.load(SeqCst), ended.reason),
        (1, StopReason::Permanent),
        "{ended}"
    );
}

/// "Not done" means that nothing is stored. An `ALTER TABLE` that waited for the batch
/// outdates the question after the rows it missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_written_is_not_sent_again_for_a_stale_plan() {
    let bank = Bank::open(PLACES[0]).await;
    let pool = pool_options(1)
        .connect_with(bank.db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(pool.clone());
    let one = bank.account(1, 100).await;
    let missing = Account::new(2, 0);
    // Both statements are prepared on the one connection.
    for _ in 0..3 {
        let stale = accounts
            .update_all(std::slice::from_ref(&missing), Bulk::Each)
            .await
            .unwrap();
        assert_eq!(stale, [WriteOutcome::NotFound]);
    }
    let mut holder = bank.pool.begin().await.unwrap();
    raw(
        &mut holder,
        "SELECT FROM bank.accounts WHERE id = 1 FOR UPDATE",
    )
    .await
    .unwrap();
    let batch = tokio::spawn({
        let (accounts, rows) = (accounts.clone(), vec![one.plus(5), missing]);
        async move { accounts.update_all(&rows, Bulk::Each).await }
    });
    until_waiting(&bank.pool).await;
    let altering = bank.pool.clone();
    let altering = tokio::spawn(async move {
        sqlx::raw_sql("ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(200)")
            .execute(&altering)
            .await
            .unwrap();
    });
    eventually("ALTER waits", async || {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'
             AND datname = current_database()",
        )
        .fetch_one(&bank.pool)
        .await
        .unwrap()
            == 1
    })
    .await;
    holder.rollback().await.unwrap();
    let verdicts = batch.await.unwrap();
    altering.await.unwrap();
    let now = bank.accounts.get(&1).await.unwrap();
    assert_eq!((now.cents, now.version.get()), (105, 2));
    match &verdicts {
        Ok(verdicts) => assert!(
            verdicts[0].is_written(),
            "{verdicts:?}, and {now:?} is stored"
        ),
        Err(error) => assert_eq!(
            error.class(),
            Class::Unknown,
            "{error:?}, and {now:?} is stored"
        ),
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Slow {
    id: i64,
    cents: i64,
    version: Version,
}

versioned_row! { Slow in "public.slow" {
    entity: "slow", id: id: i64, version: version, columns: [cents], only: "public.seen(id)",
} }

/// The same where that question is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_written_and_whose_question_is_cancelled() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.slow (id bigint PRIMARY KEY, cents bigint NOT NULL, version bigint NOT NULL);
         INSERT INTO public.slow VALUES (1, 0, 1), (2, 0, 1);
         CREATE FUNCTION public.seen(id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
             IF current_query() LIKE '%MATERIALIZED%' THEN RETURN id = 1; END IF;
             PERFORM pg_sleep(20); RETURN true; END $$",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let pool = pool_options(2)
        .connect_with(
            db.database
                .options()
                .options([("statement_timeout", "400ms")]),
        )
        .await
        .unwrap();
    let rows = PgRepository::<Slow>::new(pool);
    let row = |id| Slow {
        id,
        cents: 7,
        version: Version::FIRST,
    };
    let answer = rows.update_all(&[row(1), row(2)], Bulk::Each).await;
    let stored: i64 = sqlx::query_scalar("SELECT cents FROM public.slow WHERE id = 1")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(stored, 7);
    let error = answer.unwrap_err();
    assert_eq!(
        error.class(),
        Class::Unknown,
        "{error:?}, and a row is stored"
    );
}

mod clean_ups;
mod inventory;
mod rows;
mod sales;
mod surroundings;
