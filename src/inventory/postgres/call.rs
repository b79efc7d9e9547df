//! One call of the inventory: its attempts, and what becomes of an outcome that is unknown.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{PgInventory, products};
use crate::{
    Attempt, Class, Classify,
    inventory::{Error, Product, Sku, checkout::Facts},
    postgres::{Failed, Lease, READ_COMMITTED, TxOperation, attempt, on_connection},
    retry::{Operation, Run},
};

/// What a checkout is called in events and metrics.
pub(super) const CHECKOUT: &str = "checkout";
/// And a cancel.
pub(super) const CANCEL: &str = "cancel";

/// What the attempts of one call hand on to each other.
#[derive(Debug)]
pub(super) struct Call<L = ()> {
    /// What the caller lends to every attempt.
    pub(super) lent: L,
    /// An earlier attempt may have taken effect, or may still: cleared by whoever settles it.
    pub(super) in_doubt: bool,
    /// The next attempt asks first whether the change is there: it may be, or a deadlock may come of
    /// making it blindly.
    pub(super) look_first: bool,
    /// The database aborted an attempt: the session's isolation level may be one at which even a
    /// lock fails on a row that somebody else changed.
    pub(super) serialized: bool,
    /// What a lost race found, for the next attempt to start from.
    pub(super) facts: Option<Vec<Option<Facts>>>,
}

impl<L> Call<L> {
    pub(super) const fn new(lent: L) -> Self {
        Self {
            lent,
            in_doubt: false,
            look_first: false,
            serialized: false,
            facts: None,
        }
    }

    /// Something may have taken effect.
    pub(super) const fn doubt(&mut self) {
        (self.in_doubt, self.look_first) = (true, true);
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
    pub(super) async fn call<L, T, F>(
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
                    #[cfg(feature = "metrics")]
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
                #[cfg(feature = "metrics")]
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
    pub(super) fn count_one(&self, label: &'static str, refused: Option<&Error>) {
        self.stats.succeeded(1, 0);
        #[cfg(feature = "metrics")]
        {
            crate::metrics::attempts(label, 1);
            if refused.is_some_and(Error::is_conflict) {
                crate::metrics::conflict(label, true);
            }
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (label, refused);
    }

    /// A connection for one attempt.
    pub(super) async fn acquire(&self) -> Result<Lease, Error> {
        Lease::acquire(&self.pool).await.map_err(Error::before)
    }

    /// A connection that has made a batch is quicker at the next, unless somebody else waits for it.
    pub(super) fn let_go_if_wanted(&self, conn: &mut Option<Lease>) {
        let pool = &self.pool;
        if pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections() {
            *conn = None;
        }
    }

    /// A question that is part of an attempt, on a connection of its own.
    pub(super) async fn ask<T, F>(&self, op: F) -> Result<T, Error>
    where
        F: for<'c> TxOperation<&'c mut PgConnection, Result<T, Error>>,
    {
        on_connection(&self.pool, op).await
    }

    /// One attempt outside a transaction: each statement commits by itself.
    pub(super) async fn alone<T, F>(&self, attempt: Attempt, op: &mut F) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        let mut lease = self.acquire().await?;
        loop {
            let result = op(&mut lease, attempt).await;
            if !lease.again(&result).await {
                return Ok(result?);
            }
        }
    }

    /// One attempt in a transaction at READ COMMITTED, whatever the session's default.
    pub(super) async fn locking<T, F>(
        &self,
        number: Attempt,
        op: &mut F,
    ) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        let begin = match self.hook.is_some() {
            true => READ_COMMITTED.proven(),
            false => READ_COMMITTED,
        };
        attempt(&self.pool, begin, number, op)
            .await
            .map_err(|failed| match failed.class {
                Class::Conflict => failed.error.into(),
                class => Failed::new(failed.error.settled(class), class),
            })
    }

    /// A read: nothing can be in doubt.
    pub(super) async fn read<T, F>(&self, label: &'static str, op: F) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            self.alone(attempt, &mut call.lent).await
        })
        .await
    }

    /// A change of one product, made once: `token` is written with it and found again when an
    /// attempt's outcome is unknown. `absolute`: the change compares a version, so an attempt still
    /// on its way is refused whenever this one is; and it is several statements, in a transaction.
    pub(super) async fn change<F>(
        &self,
        label: &'static str,
        token: Uuid,
        absolute: bool,
        op: F,
    ) -> Result<Product, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<Product, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            let result = if absolute || attempt.locking() {
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
                            call.in_doubt = !absolute;
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
    pub(super) async fn set_paused(
        &self,
        label: &'static str,
        sku: &Sku,
        paused: bool,
    ) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        self.change(label, token, false, async |conn: &mut PgConnection, _| {
            products::set_paused(conn, sku, paused, token).await
        })
        .await
    }

    /// A step of an order or a reservation. Made twice it is answered as made once, so an unknown outcome
    /// is simply tried again. Once it stands where no such step begins, an attempt still on its way is
    /// refused like this one; and a reservation that arrives late runs out by itself.
    pub(super) async fn transition<T, F>(&self, label: &'static str, op: F) -> Result<T, Error>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        self.call(label, op, async |call: &mut Call<F>, attempt| {
            let result = if attempt.locking() {
                self.locking(attempt, &mut call.lent).await
            } else {
                self.alone(attempt, &mut call.lent).await
            };
            if let Err(refused) = &result
                && matches!(
                    refused.error,
                    Error::OrderClosed { .. }
                        | Error::ReservationClosed { .. }
                        | Error::NotFound { .. }
                )
            {
                call.in_doubt = false;
            }
            result
        })
        .await
    }
}
