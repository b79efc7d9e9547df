//! One attempt of a transaction on a pooled connection, safe to drop at any await.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use super::{Tx, ending::conclude};
use crate::{
    Attempt, Classify,
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
}

/// How the library's own locking attempts begin. Under a default of REPEATABLE READ or above even
/// `FOR UPDATE` fails on a row that was changed meanwhile; at READ COMMITTED it waits and reads it.
pub(crate) const READ_COMMITTED: Begin<'_> = Begin {
    sql: "BEGIN ISOLATION LEVEL READ COMMITTED",
    proven: false,
    statement_timeout: None,
};

impl Begin<'_> {
    /// The same, for a transaction in which code of the host's runs.
    pub(crate) const fn proven(self) -> Self {
        Self {
            proven: true,
            ..self
        }
    }

    pub(super) fn limit(&self) -> Limit {
        Limit(self.statement_timeout.map(|limit| (limit, Instant::now())))
    }
}

/// The limit for a statement that was set with `BEGIN`, and when that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(Option<(Duration, Instant)>);

impl Limit {
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
        let timed_out = self.0.is_some_and(passed);
        Situation { phase, timed_out }
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
    let mut lease = lease(pool, false).await?;
    let timer = Timer::start();
    let result = async {
        let mut tx = tx(&mut lease, &begin, attempt).await?;
        let result = op(&mut tx, attempt).await;
        let ended = tx.end(result).await;
        conclude(&mut lease, ended).await
    }
    .await;
    timer.stop(&result);
    result
}

/// A connection for one attempt. `fresh`: without what it had prepared, as the schema has changed.
pub(super) async fn lease<E: From<sqlx::Error>>(
    pool: &PgPool,
    fresh: bool,
) -> Result<Lease, Failed<E>> {
    let mut lease = Lease::acquire(pool).await.map_err(before)?;
    if fresh {
        lease.forget_statements().await.map_err(before)?;
    }
    Ok(lease)
}

pub(super) async fn tx<'c, E: From<sqlx::Error>>(
    lease: &'c mut Lease,
    begin: &Begin<'_>,
    attempt: Attempt,
) -> Result<Tx<'c>, Failed<E>> {
    Tx::begin(lease, begin, attempt).await.map_err(before)
}

fn before<E: From<sqlx::Error>>(error: sqlx::Error) -> Failed<E> {
    let class = class_in(&error, Phase::Before);
    Failed::new(error.into(), class)
}

/// Measures an attempt, for the feature `metrics`.
pub(super) struct Timer {
    #[cfg(feature = "metrics")]
    start: std::time::Instant,
}

impl Timer {
    pub(super) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            start: std::time::Instant::now(),
        }
    }

    pub(super) fn stop<T, E>(self, result: &Result<T, Failed<E>>) {
        #[cfg(feature = "metrics")]
        crate::metrics::transaction(
            match result {
                Ok(_) => "committed",
                Err(failed) if failed.class == crate::Class::Unknown => "unknown",
                Err(_) => "rolled-back",
            },
            self.start.elapsed(),
        );
        #[cfg(not(feature = "metrics"))]
        let _ = (self, result);
    }
}
