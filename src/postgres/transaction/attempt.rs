//! One attempt of a transaction on a pooled connection, safe to drop at any await.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use super::{Tx, TxOperation, ending::conclude};
use crate::{
    Attempt, Class, Classify,
    postgres::{Failed, Lease, Phase, Situation, class_in},
    retry::Operation,
};

/// How an attempt begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin<'s> {
    /// `BEGIN` with its level and its settings, in one string: built from constants and numbers.
    pub(super) sql: &'s str,
    /// Whether the end of the transaction proves that it is the one that was begun. Without, it is for
    /// statements of the crate's own, which end no transaction and swallow no error.
    pub(super) proven: bool,
    /// The limit for a statement that `sql` sets.
    pub(super) statement_timeout: Option<Duration>,
    /// Whether `sql` declares the transaction read-only.
    pub(super) read_only: bool,
}

/// How the library's own locking attempts begin. Under a default of REPEATABLE READ or above even
/// `FOR UPDATE` fails on a row that was changed meanwhile; at READ COMMITTED it waits and reads it.
pub(crate) const READ_COMMITTED: Begin<'_> = Begin {
    sql: "BEGIN ISOLATION LEVEL READ COMMITTED",
    proven: false,
    statement_timeout: None,
    read_only: false,
};

impl Begin<'_> {
    /// The same, for a transaction in which code of the host's runs.
    #[cfg(feature = "inventory")]
    pub(crate) const fn proven(self) -> Self {
        Self {
            proven: true,
            ..self
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            statement: self.statement_timeout.map(|limit| (limit, Instant::now())),
            read_only: self.read_only,
        }
    }
}

/// The limits that were set with `BEGIN`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For a statement, and since when.
    statement: Option<(Duration, Instant)>,
    read_only: bool,
}

impl Limits {
    pub(super) fn failed<E: From<sqlx::Error>>(
        self,
        error: sqlx::Error,
        phase: Phase,
    ) -> Failed<E> {
        let judgement = self.situation(phase).judge(&error);
        Failed::judged(error.into(), judgement)
    }

    pub(super) fn judged<E: Classify>(self, error: E, phase: Phase) -> Failed<E> {
        let judgement = self.situation(phase).judge(&error);
        Failed::judged(error, judgement)
    }

    fn situation(self, phase: Phase) -> Situation {
        // A statement that was cancelled sooner was not cancelled by this limit.
        let passed = |(limit, since): (Duration, Instant)| since.elapsed() >= limit;
        Situation {
            phase,
            timed_out: self.statement.is_some_and(passed),
            read_only: self.read_only,
        }
    }
}

/// Runs `op` between `BEGIN` and `COMMIT`, and says of every error what it means in its phase.
pub(crate) async fn attempt<T, E, F>(
    pool: &PgPool,
    begin: Begin<'_>,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'c> Operation<&'c mut PgConnection, Result<T, E>>,
{
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    loop {
        let timer = Timer::start();
        let result = async {
            let mut tx = Tx::begin(&mut lease, &begin, attempt)
                .await
                .map_err(before)?;
            let result = op(&mut tx, attempt).await;
            let ended = tx.end(result).await;
            conclude(&mut lease, ended).await
        }
        .await;
        timer.stop(&result);
        if !has_stale_plan(&result) || !lease.refresh().await {
            return result;
        }
    }
}

/// [`attempt`] for an operation of the caller's.
pub(super) async fn attempt_of_caller<T, E, F>(
    pool: &PgPool,
    begin: Begin<'_>,
    attempt: Attempt,
    op: &mut F,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error> + Classify,
    F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
{
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    loop {
        let timer = Timer::start();
        let result = async {
            let mut tx = Tx::begin(&mut lease, &begin, attempt)
                .await
                .map_err(before)?;
            let result = op(&mut tx).await;
            let ended = tx.end(result).await;
            conclude(&mut lease, ended).await
        }
        .await;
        timer.stop(&result);
        if !has_stale_plan(&result) || !lease.refresh().await {
            return result;
        }
    }
}

/// Whether it failed as a prepared statement no longer fits the schema, and for no other reason.
pub(crate) fn has_stale_plan<T, E>(result: &Result<T, Failed<E>>) -> bool {
    let stale =
        |failed: &Failed<E>| failed.stale_plan && matches!(failed.class, Class::Busy { .. });
    result.as_ref().err().is_some_and(stale)
}

pub(crate) fn before<E: From<sqlx::Error>>(error: sqlx::Error) -> Failed<E> {
    let class = class_in(&error, Phase::Before);
    Failed::new(error.into(), class)
}

/// Measures an attempt, for the feature `metrics`.
pub(crate) struct Timer {
    #[cfg(feature = "metrics")]
    start: std::time::Instant,
}

impl Timer {
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            start: std::time::Instant::now(),
        }
    }

    pub(crate) fn stop<T, E>(self, result: &Result<T, Failed<E>>) {
        #[cfg(feature = "metrics")]
        crate::metrics::transaction(
            match result {
                Ok(_) => "committed",
                Err(failed) if failed.class == Class::Unknown => "unknown",
                Err(_) => "rolled-back",
            },
            self.start.elapsed(),
        );
        #[cfg(not(feature = "metrics"))]
        let _ = (self, result);
    }
}
