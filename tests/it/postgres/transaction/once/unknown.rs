//! Unknown outcomes that no key can settle, and errors of the operation.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use optilock::{
    Class, Classify, Conflict, RetryPolicy, StopReason, Version,
    postgres::{
        self, Isolation, Once, OnceOptions, TransactOptions, transact_once, transact_once_with,
    },
    sqlx::{self, Executor},
};

use super::effects::{QUICK, REQUEST, effects, keys, once, take_effect, with_effects};
use crate::support::{
    db::{assert_idle, pool_options},
    triggers::run,
};

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the card may have been charged")]
    Card,
    #[error(transparent)]
    Rows(#[from] postgres::Error),
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Card => Class::Unknown,
            Self::Rows(error) => error.class(),
        }
    }
}

/// A card that may have been charged is nothing that the key tells of.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_of_the_operation_is_not_retried_unless_the_policy_says_so() {
    let db = with_effects().await;
    let calls = AtomicU32::new(0);
    let charge = async |policy: &RetryPolicy| {
        transact_once(&db.pool, policy, "k", REQUEST, async |tx| {
            calls.fetch_add(1, SeqCst);
            let attempt = take_effect(tx, "k").await?;
            if attempt == 1 {
                Err(AppError::Card)
            } else {
                Ok(attempt)
            }
        })
        .await
    };
    let unknown = charge(&QUICK).await.unwrap_err();
    assert_eq!(
        (unknown.reason, unknown.class()),
        (StopReason::Unknown, Class::Unknown)
    );
    assert!(matches!(unknown.error, AppError::Card));
    assert_eq!(
        (
            calls.load(SeqCst),
            effects(&db.pool, "k").await,
            keys(&db.pool, "k").await
        ),
        (1, 0, 0)
    );
    let retried = charge(&QUICK.with_unknown_retried(true)).await.unwrap();
    assert_eq!(
        (retried, calls.load(SeqCst), effects(&db.pool, "k").await),
        (Once::Done(2), 3, 1)
    );
}

/// What it sent after that committed directly, so that another attempt would take effect again.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_ends_its_transaction_is_not_retried() {
    let db = with_effects().await;
    let calls = AtomicU32::new(0);
    for (end, stored) in [("COMMIT", (2, 1)), ("ROLLBACK", (1, 0))] {
        let unknown = transact_once(&db.pool, &QUICK, end, REQUEST, async |tx| {
            calls.fetch_add(1, SeqCst);
            take_effect(tx, end).await?;
            tx.execute(sqlx::raw_sql(end)).await?;
            take_effect(tx, end).await
        })
        .await
        .unwrap_err();
        assert_eq!(
            (unknown.reason, unknown.class()),
            (StopReason::Unknown, Class::Unknown),
            "{end}"
        );
        assert_eq!(
            (effects(&db.pool, end).await, keys(&db.pool, end).await),
            stored,
            "{end}"
        );
    }
    assert_eq!(calls.load(SeqCst), 2);
    assert_idle(&db.pool).await;
}

/// Conflicts are retried with the key, and a refusal stores none.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_operation_store_no_key() {
    let db = with_effects().await;
    let conflicts = transact_once(&db.pool, &QUICK, "conflict", REQUEST, async |tx| {
        let attempt = take_effect(tx, "conflict").await?;
        match attempt {
            1..=3 => Err(Conflict::new("row", 7, Version::FIRST, Version::new(2).unwrap()).into()),
            _ => Ok::<_, postgres::Error>(attempt),
        }
    });
    assert_eq!(conflicts.await.unwrap(), Once::Done(4));
    assert_eq!(effects(&db.pool, "conflict").await, 1);

    // A statement fails, and the operation hides it.
    let swallowed = transact_once(&db.pool, &QUICK, "swallowed", REQUEST, async |tx| {
        take_effect(tx, "swallowed").await?;
        drop(tx.execute("SELECT 1 / 0").await);
        Ok::<_, postgres::Error>(())
    });
    let refused = swallowed.await.unwrap_err();
    assert_eq!(
        (refused.reason, refused.class()),
        (StopReason::Permanent, Class::Permanent)
    );
    assert_eq!(
        (
            effects(&db.pool, "swallowed").await,
            keys(&db.pool, "swallowed").await
        ),
        (0, 0)
    );
    assert_eq!(
        once(&db.pool, &QUICK, "swallowed").await.unwrap(),
        Once::Done(1)
    );
}

/// The transaction is aborted at `COMMIT`, which leaves nothing in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_refused_is_no_unknown_outcome() {
    let db = with_effects().await;
    run(
        &db.pool,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN RAISE ''refused'' USING ERRCODE = ''40001''; END';
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON public.effects DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    )
    .await;
    for level in [
        Isolation::ReadCommitted,
        Isolation::RepeatableRead,
        Isolation::Serializable,
    ] {
        let options = TransactOptions::new().with_isolation(level);
        let options = OnceOptions::new().with_transaction(options);
        let policy = QUICK.with_max_attempts(3);
        let refused = transact_once_with(&db.pool, &policy, &options, "k", REQUEST, async |tx| {
            take_effect(tx, "k").await
        });
        let refused = refused.await.unwrap_err();
        assert_eq!(
            (refused.attempts, refused.class()),
            (3, Class::Permanent),
            "{level:?}"
        );
        assert!(refused.error.is_conflict(), "{level:?}: {refused}");
        assert_eq!(
            (effects(&db.pool, "k").await, keys(&db.pool, "k").await),
            (0, 0)
        );
    }
}

/// The second attempt fails before it reaches the key: it can't say that nothing happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_outlives_an_attempt_that_does_not_reach_the_key() {
    let db = with_effects().await;
    let pool = pool_options(1).connect_with(db.database.options()).await;
    let pool = pool.unwrap();
    let policy = QUICK.with_unknown_retried(true);
    let charged = transact_once(&pool, &policy, "k", REQUEST, async |_| {
        // It is closed from this call on; the connection of the attempt is still open.
        drop(pool.close());
        Err::<(), _>(AppError::Card)
    });
    let gave_up = charged.await.unwrap_err();
    assert_eq!((gave_up.attempts, gave_up.class()), (2, Class::Unknown));
}
