//! Runs the attempts of every operation. Owns the pool, the policy and the counters.

mod call;
mod replicated;
mod reuse;

use std::{marker::PhantomData, sync::Arc};

use sqlx::{PgConnection, PgPool};

use super::{
    schema::{Schema, SchemaConnection},
    stats::{Counters, Stats},
};
use crate::{
    Attempt, Class, Classify, RetryError, RetryPolicy,
    inventory::model::{Error, ErrorKind},
    metrics,
    postgres::{
        self, Begin, Failed, Lease, Pending, READ_COMMITTED, READ_COMMITTED_LIMITED, Scope, Slot,
        directly, in_transaction,
    },
    retry::Run,
};

pub(crate) use call::Call;
use reuse::Reuse;

/// One attempt of an operation.
pub(crate) type Attempted<'f, 'a, S, T> = &'f (
        dyn for<'c> Fn(
    &'c mut Call<S>,
    Attempt,
    Scope<'c, 'a>,
) -> Pending<'c, Result<T, Failed<Error>>>
            + Sync
            + 'f
    );

/// What an attempt does on its connection: `&|conn, _| Box::pin(find(conn, id))`.
pub(crate) type Work<'f, 'a, R> =
    &'f (dyn for<'c> Fn(&'c mut SchemaConnection<'c>, Scope<'c, 'a>) -> Pending<'c, R> + Sync + 'f);

#[derive(Clone, Debug)]
pub(crate) struct Executor {
    pool: PgPool,
    schema: Schema,
    policy: RetryPolicy,
    stats: Arc<Counters>,
    /// Whether code of the host's runs in the transactions, so that their ends must be proven.
    proven: bool,
    reuse: Option<Arc<Reuse>>,
    /// Attempts run in transactions that wait for locks for half a second.
    limited: bool,
}

impl Executor {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            schema: Schema::default(),
            policy: RetryPolicy::new(),
            stats: Arc::default(),
            proven: false,
            reuse: None,
            limited: false,
        }
    }

    pub(crate) fn set_policy(&mut self, policy: RetryPolicy) {
        self.policy = policy;
    }

    pub(crate) fn set_schema(&mut self, schema: Schema) {
        self.schema = schema;
        // Those of another shop.
        self.stats = Arc::default();
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) const fn prove_transactions(&mut self) {
        self.proven = true;
    }

    /// Keeps connections from one operation to the next.
    pub(crate) fn reuse_connections(&mut self) {
        self.reuse = Some(Arc::default());
    }

    /// Returns the same executor with attempts that run in transactions and wait for each lock for half a second,
    /// as long as a batch does: a request must not keep its connection for longer if others wait for one.
    pub(crate) fn limited(&self) -> Self {
        let limited = true;
        Self {
            limited,
            ..self.clone()
        }
    }

    pub(crate) const fn is_limited(&self) -> bool {
        self.limited
    }

    pub(crate) fn max_connections(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    pub(crate) const fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Makes attempts as often as the policy allows. Every operation of the inventory takes effect once, by its
    /// order id or token, so unknown outcomes are retried too: each attempt first looks up the effect of the
    /// one before. An effect that is found is an answer when the synchronous standby has it.
    pub(crate) async fn run<'a, S: Send, T: Send>(
        &self,
        label: &'static str,
        state: S,
        op: Attempted<'_, 'a, S, T>,
    ) -> Result<T, Error> {
        let slot = Slot::new();
        self.attempts(label, state, &|call, attempt, _| {
            let value = op(call, attempt, PhantomData);
            Box::pin(async { slot.keep(value.await) })
        })
        .await?;
        Ok(slot.take())
    }

    async fn attempts<'a, S: Send>(
        &self,
        label: &'static str,
        state: S,
        op: Attempted<'_, 'a, S, ()>,
    ) -> Result<(), Error> {
        let policy = self
            .policy
            .clone()
            .with_label(label)
            .with_unknown_retried(true);
        let mut run = Run::new(&policy);
        let mut call = Call::new(state);
        loop {
            let attempt = run.attempt();
            let mut done = op(&mut call, attempt, PhantomData).await;
            if done.is_ok() && call.is_replay {
                done = self.replicated().await.map_err(|error| {
                    call.doubt();
                    error.into()
                });
            }
            let failed = match done {
                Ok(()) => {
                    run.succeeded();
                    self.stats.succeeded(attempt.number(), call.conflicts);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if is_unknown_hook(&failed) {
                return Err(self.unknown_hook(label, attempt, call.conflicts, failed.error));
            }
            call.note(&failed);
            if let Err(stopped) = run.wait(failed).await {
                return Err(self.gave_up(label, attempt, call.conflicts, call.in_doubt, stopped));
            }
        }
    }

    /// Handles a hook that failed with an unknown outcome of its own: the sale was undone, and the host has to
    /// find out about the rest.
    fn unknown_hook(
        &self,
        label: &'static str,
        attempt: Attempt,
        conflicts: u64,
        error: Error,
    ) -> Error {
        self.stats.failed(attempt.number(), conflicts, false);
        metrics::unknown_outcome(label);
        error
    }

    fn gave_up(
        &self,
        label: &'static str,
        attempt: Attempt,
        conflicts: u64,
        in_doubt: bool,
        stopped: RetryError<Failed<Error>>,
    ) -> Error {
        let class = stopped.error.class;
        let escaped = class == Class::Conflict;
        self.stats.failed(attempt.number(), conflicts, escaped);
        // An expected version that is no longer current is not retried, and counts as a conflict.
        if class == Class::Permanent && stopped.error.error.is_conflict() {
            metrics::conflict(label, true);
        }
        match Error::from(stopped.map(|failed| failed.error)) {
            error if in_doubt && !error.is_unknown() => error.into_unknown(),
            error => error,
        }
    }

    /// Counts an operation that a batch answered, as one attempt.
    pub(crate) fn count_batched(&self, label: &'static str, refused: Option<&Error>) {
        self.stats.succeeded(1, 0);
        metrics::attempts(label, 1);
        if refused.is_some_and(Error::is_conflict) {
            metrics::conflict(label, true);
        }
    }

    /// Makes attempts of a read: no outcome is in doubt.
    pub(crate) async fn read<'a, T: Send + Sync>(
        &self,
        label: &'static str,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        self.run(label, (), &|_, _, _| Box::pin(self.direct_attempt(work)))
            .await
    }

    /// Makes attempts in transactions at READ COMMITTED, for an operation that finds nothing to do when an
    /// earlier attempt took effect.
    pub(crate) async fn locked<'a, T: Send + Sync>(
        &self,
        label: &'static str,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        self.run(label, (), &|_, attempt, _| {
            Box::pin(self.locking_attempt(attempt, work))
        })
        .await
    }

    /// Makes one attempt: in a transaction if the policy locks at this attempt, else directly.
    pub(crate) async fn attempt<'a, T: Send + Sync>(
        &self,
        attempt: Attempt,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Failed<Error>> {
        if attempt.locking() || self.limited {
            self.locking_attempt(attempt, work).await
        } else {
            self.direct_attempt(work).await
        }
    }

    pub(crate) async fn locking_attempt<'a, T: Send + Sync>(
        &self,
        attempt: Attempt,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Failed<Error>> {
        let mut lease = self.acquire().await?;
        let value = self.locking_attempt_on(&mut lease, attempt, work).await?;
        self.release(lease);
        Ok(value)
    }

    async fn direct_attempt<'a, T: Send + Sync>(
        &self,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Failed<Error>> {
        Ok(self.ask(work).await?)
    }

    /// Makes one attempt on the caller's connection, in a transaction at READ COMMITTED. The session's default
    /// isolation level has no effect.
    pub(crate) async fn locking_attempt_on<'a, T: Send + Sync>(
        &self,
        lease: &mut Lease,
        attempt: Attempt,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Failed<Error>> {
        let here: postgres::Work<'_, '_, _> = &|conn, _| self.on_schema(conn, work);
        let done = in_transaction(lease, self.begin(), attempt, here).await;
        done.map_err(settled)
    }

    const fn begin(&self) -> Begin<'static> {
        let begin = match self.limited {
            true => READ_COMMITTED_LIMITED,
            false => READ_COMMITTED,
        };
        match self.proven {
            true => begin.proven(),
            false => begin,
        }
    }

    /// Makes a read that is part of an attempt, on a connection of its own.
    pub(crate) async fn ask<'a, T: Send + Sync>(
        &self,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut lease = self.acquire().await?;
        let value = self.directly_on(&mut lease, work).await?;
        self.release(lease);
        Ok(value)
    }

    /// Runs `work` outside of a transaction, on a connection of the caller's.
    pub(crate) async fn directly_on<'a, T: Send + Sync>(
        &self,
        lease: &mut Lease,
        work: Work<'_, 'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        let here: postgres::Work<'_, '_, _> = &|conn, _| self.on_schema(conn, work);
        directly(lease, here).await
    }

    fn on_schema<'c, 'a, R: Send + 'c>(
        &'c self,
        conn: &'c mut PgConnection,
        work: Work<'c, 'a, R>,
    ) -> Pending<'c, R>
    where
        'a: 'c,
    {
        Box::pin(async move { work(&mut self.schema.on(conn), PhantomData).await })
    }

    /// Acquires a connection for one attempt.
    pub(crate) async fn acquire(&self) -> Result<Lease, Error> {
        let lease = match &self.reuse {
            Some(reuse) => reuse.acquire(&self.pool).await,
            None => Lease::acquire(&self.pool).await,
        };
        lease.map_err(Error::before)
    }

    /// Ends the use of a connection whose last statement succeeded. Any other connection is dropped instead.
    pub(crate) fn release(&self, lease: Lease) {
        match &self.reuse {
            // A hook of the host's may have changed the session.
            Some(reuse) if !self.proven => reuse.keep(&self.pool, lease),
            _ => drop(lease),
        }
    }

    /// Returns whether another caller waits for a connection, or the pool is being closed: a batch then returns the
    /// connections that it does not use. Kept, they make the next batch faster.
    pub(crate) fn is_pool_wanted(&self) -> bool {
        let pool = &self.pool;
        let is_used_up = || pool.num_idle() == 0 && pool.size() >= self.max_connections();
        pool.is_closed() || is_used_up()
    }
}

/// Returns whether the host's hook failed with an outcome that is unknown to the host.
fn is_unknown_hook(failed: &Failed<Error>) -> bool {
    failed.class == Class::Unknown
        && failed.error.kind() == ErrorKind::Hook
        && failed.error.is_unknown()
}

/// Returns the error with what the phase of its transaction implies.
fn settled(failed: Failed<Error>) -> Failed<Error> {
    match failed.class {
        Class::Conflict => failed.error.into(),
        class => Failed::new(failed.error.settled(class), class),
    }
}

/// A refusal is final: an expected version never becomes current again.
impl From<Error> for Failed<Error> {
    fn from(error: Error) -> Self {
        let class = match error.kind() {
            ErrorKind::Conflict => Class::Permanent,
            _ => error.class(),
        };
        Self::new(error, class)
    }
}
