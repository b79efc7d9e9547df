//! One call of the inventory: its attempts, and what becomes of an outcome that is unknown.

use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::{PgInventory, doubt::Doubt, expiry::Expiry, products, step};
use crate::{
    Attempt, Class, Classify, Version,
    inventory::model::{Error, Order, OrderStep, Product, Sku, checkout::Facts},
    postgres::{
        Begin, Failed, Lease, READ_COMMITTED, TxOperation, attempt, attempt_on, on_connection,
    },
    retry::{Operation, Run},
};

/// What a checkout is called in events and metrics.
pub(crate) const CHECKOUT: &str = "checkout";

/// What the attempts of one call hand on to each other.
#[derive(Debug)]
pub(crate) struct Call<L = ()> {
    /// What the caller lends to every attempt.
    pub(crate) lent: L,
    /// When it began.
    pub(crate) since: Instant,
    /// An earlier attempt may have taken effect, or may still: cleared by whoever settles it.
    pub(crate) in_doubt: bool,
    /// The next attempt asks first whether the change is there: it may be, or a deadlock may come of
    /// making it blindly.
    pub(crate) look_first: bool,
    /// The database aborted an attempt: the session's isolation level may be one at which even a
    /// lock fails on a row that somebody else changed.
    pub(crate) serialized: bool,
    /// What a lost race found, for the next attempt to start from.
    pub(crate) facts: Option<Vec<Option<Facts>>>,
    /// The expired holds that earlier attempts ended, once that is committed.
    pub(crate) expiry: Option<Expiry>,
}

impl<L> Call<L> {
    pub(crate) fn new(lent: L) -> Self {
        Self {
            lent,
            since: Instant::now(),
            in_doubt: false,
            look_first: false,
            serialized: false,
            facts: None,
            expiry: None,
        }
    }

    /// Something may have taken effect.
    pub(crate) const fn doubt(&mut self) {
        (self.in_doubt, self.look_first) = (true, true);
    }

    /// A step was refused: where no such step begins, an attempt that is still on its way is refused like
    /// this one.
    pub(crate) const fn refused(&mut self, error: &Error) {
        if matches!(
            error,
            Error::InvalidOrderState { .. }
                | Error::ReservationClosed { .. }
                | Error::NotFound { .. }
        ) {
            self.in_doubt = false;
        }
    }
}

/// What becomes of an attempt of a change that arrives after a later one was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It is refused as well: the change names a version.
    Refused,
    /// Its transaction is never committed.
    NotCommitted,
    /// It may be made.
    Done,
}

/// By the phase of its transaction.
fn settled(failed: Failed<Error>) -> Failed<Error> {
    match failed.class {
        Class::Conflict => failed.error.into(),
        class => Failed::new(failed.error.settled(class), class),
    }
}

/// A refusal is final: an expected version that moved on never comes back.
impl From<Error> for Failed<Error> {
    fn from(error: Error) -> Self {
        let class = match error {
            Error::Conflict(_) => Class::Permanent,
            ref other => other.class(),
        };
        Self::new(error, class)
    }
}

impl PgInventory {
    /// Runs `op` as often as the policy allows. Every operation of the inventory is idempotent by
    /// its order id or token, so unknown outcomes are tried again too; `op` looks before it leaps.
    pub(crate) async fn call<L, T, F>(
        &self,
        label: &'static str,
        lent: L,
        mut op: F,
    ) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut Call<L>, Result<T, Failed<Error>>>,
    {
        let policy = self
            .policy
            .clone()
            .with_label(label)
            .with_unknown_retried(true);
        let mut run = Run::new(&policy);
        let mut call = Call::new(lent);
        let mut conflicts = 0;
        loop {
            let number = run.attempt().number();
            let failed = match op(&mut call, run.attempt()).await {
                Ok(value) => {
                    run.succeeded();
                    self.stats.succeeded(number, conflicts);
                    return Ok(value);
                }
                Err(failed) => failed,
            };
            match failed.class {
                // The sale was undone; what the hook did elsewhere is its host's to find out.
                Class::Unknown
                    if matches!(failed.error, Error::Hook { .. }) && failed.error.is_unknown() =>
                {
                    self.stats.failed(number, conflicts, false);
                    crate::metrics::unknown_outcome(label);
                    return Err(failed.error);
                }
                Class::Unknown => call.doubt(),
                Class::Conflict => conflicts += 1,
                _ => {}
            }
            if let Error::Serialization(_) = failed.error {
                (call.serialized, call.look_first) = (true, true);
            }
            if let Err(stopped) = run.wait(failed).await {
                self.stats
                    .failed(number, conflicts, stopped.error.class == Class::Conflict);
                // A version that moved on for good is no matter of retries, and a conflict all the same.
                if stopped.error.class == Class::Permanent && stopped.error.error.is_conflict() {
                    crate::metrics::conflict(label, true);
                }
                return Err(match Error::from(stopped.map(|failed| failed.error)) {
                    error if call.in_doubt && !error.is_unknown() => {
                        Error::Unknown(Box::new(error))
                    }
                    error => error,
                });
            }
        }
    }

    /// An operation that a batch answered, at its first attempt.
    pub(crate) fn count_one(&self, label: &'static str, refused: Option<&Error>) {
        self.stats.succeeded(1, 0);
        crate::metrics::attempts(label, 1);
        if refused.is_some_and(Error::is_conflict) {
            crate::metrics::conflict(label, true);
        }
    }

    /// A connection for one attempt.
    pub(crate) async fn acquire(&self) -> Result<Lease, Error> {
        Lease::acquire(&self.pool).await.map_err(Error::before)
    }

    /// A connection that has made a batch is quicker at the next, unless somebody else waits for it.
    pub(crate) fn let_go_if_wanted(&self, conn: &mut Option<Lease>) {
        let pool = &self.pool;
        if pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections() {
            *conn = None;
        }
    }

    /// A question that is part of an attempt, on a connection of its own.
    pub(crate) async fn ask<T, F>(&self, op: F) -> Result<T, Error>
    where
        F: for<'c> TxOperation<&'c mut PgConnection, Result<T, Error>>,
    {
        on_connection(&self.pool, op).await
    }

    /// One attempt outside a transaction: each statement commits by itself.
    pub(crate) async fn alone<T, F>(&self, attempt: Attempt, op: &mut F) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        let mut lease = self.acquire().await?;
        self.alone_on(&mut lease, attempt, op).await
    }

    /// The same on a connection that the caller has already.
    pub(crate) async fn alone_on<T, F>(
        &self,
        lease: &mut Lease,
        attempt: Attempt,
        op: &mut F,
    ) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        loop {
            let result = op(lease, attempt).await;
            if !lease.again(&result).await {
                return Ok(result?);
            }
        }
    }

    /// One attempt in a transaction at READ COMMITTED, whatever the session's default.
    pub(crate) async fn locking<T, F>(
        &self,
        number: Attempt,
        op: &mut F,
    ) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        let done = attempt(&self.pool, self.begin(), number, op).await;
        done.map_err(settled)
    }

    /// The same on a connection that the caller has already.
    pub(crate) async fn locking_on<T, F>(
        &self,
        lease: &mut Lease,
        number: Attempt,
        op: &mut F,
    ) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        let done = attempt_on(lease, self.begin(), number, op).await;
        done.map_err(settled)
    }

    const fn begin(&self) -> Begin<'static> {
        match self.hook.is_some() {
            true => READ_COMMITTED.proven(),
            false => READ_COMMITTED,
        }
    }

    /// Attempts that lock, each in a transaction at READ COMMITTED: for an operation that finds nothing left
    /// to do where an earlier attempt took effect.
    pub(crate) async fn locked<T, F>(&self, label: &'static str, op: F) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            self.locking(attempt, &mut call.lent).await
        })
        .await
    }

    /// A read: nothing can be in doubt.
    pub(crate) async fn read<T, F>(&self, label: &'static str, op: F) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            self.alone(attempt, &mut call.lent).await
        })
        .await
    }

    /// A change of one product, made once: `token` is written with it and found again when an attempt's
    /// outcome is unknown.
    pub(crate) async fn change<F>(
        &self,
        label: &'static str,
        token: Uuid,
        late: Late,
        op: F,
    ) -> Result<Product, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<Product, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            let result = if late == Late::NotCommitted || attempt.locking() {
                self.locking(attempt, &mut call.lent).await
            } else {
                self.alone(attempt, &mut call.lent).await
            };
            match result {
                Err(refused) if call.in_doubt && refused.class == Class::Permanent => {
                    let changed = self.ask(async |conn: &mut PgConnection| {
                        products::changed_by(conn, token).await
                    });
                    match changed.await? {
                        Some((product, _)) => Ok(product),
                        None => {
                            call.in_doubt = late == Late::Done;
                            Err(refused)
                        }
                    }
                }
                other => other,
            }
        })
        .await
    }
}

impl PgInventory {
    /// Pauses or resumes the sale of a product, once per call: after an outcome that is unknown, another call
    /// may have undone what the first attempt did.
    pub(crate) async fn set_paused(
        &self,
        label: &'static str,
        sku: &Sku,
        paused: bool,
    ) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        self.change(
            label,
            token,
            Late::Done,
            async |conn: &mut PgConnection, _| products::set_paused(conn, sku, paused, token).await,
        )
        .await
    }

    /// A change of an order, by attempts that are guarded by its version: by `expected`, or by the one that
    /// each of them read.
    pub(crate) async fn change_order<F>(
        &self,
        label: &'static str,
        expected: Option<Version>,
        doubt: &Doubt,
        op: F,
    ) -> Result<Order, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<Order, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            doubt.begin();
            let mut result = if attempt.locking() {
                self.locking(attempt, &mut call.lent).await
            } else {
                self.alone(attempt, &mut call.lent).await
            };
            if let Err(failed) = &mut result {
                match failed.error {
                    _ if failed.class == Class::Unknown => doubt.lose(),
                    // What suppressed this attempt suppresses an earlier one that is still on its way.
                    Error::NotFound { .. } | Error::Suppressed { .. } => doubt.settle(),
                    // Others changed the order while it was read: worth another attempt.
                    Error::Conflict(_) if expected.is_none() && doubt.earlier().is_none() => {
                        failed.class = Class::Conflict;
                    }
                    _ => {}
                }
            }
            call.in_doubt = doubt.earlier().is_some();
            result
        })
        .await
    }

    /// A step of an order, where a batch of cancellations may have made it before.
    pub(crate) async fn step_after(&self, step: &OrderStep, doubt: &Doubt) -> Result<Order, Error> {
        self.change_order(
            step.label(),
            step.expected,
            doubt,
            async |conn: &mut PgConnection, _| step::step(conn, step, &self.policy, doubt).await,
        )
        .await
    }

    /// A step of a reservation. Made twice it is answered as made once, so an unknown outcome is tried
    /// again. Once it stands where no such step begins, an attempt still on its way is refused like this
    /// one; and a reservation that arrives late expires.
    pub(crate) async fn transition<T, F>(&self, label: &'static str, op: F) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            let result = if attempt.locking() {
                self.locking(attempt, &mut call.lent).await
            } else {
                self.alone(attempt, &mut call.lent).await
            };
            if let Err(refused) = &result {
                call.refused(&refused.error);
            }
            result
        })
        .await
    }
}
