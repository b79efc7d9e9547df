//! Read, change, compare-and-set, and again after a conflict.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;

use super::{PgRepository, guarded::Write, outcome::WriteOutcome};
use crate::{
    Attempt, Class, Classify, Conflict, RetryError, RetryPolicy, Version,
    postgres::{
        error::Error,
        row::PgVersioned,
        transaction::{Failed, Lease, READ_COMMITTED, attempt},
    },
    retry::Run,
};

impl<T: PgVersioned> PgRepository<T> {
    /// Reads the row, applies `change` and writes it. After a conflict it starts again, as often as
    /// `policy` allows. Returns the written row and the result of `change`.
    ///
    /// `change` receives the current row on every attempt. It may run several times, so it should change
    /// nothing else. If it returns an error, nothing is written and there is no further attempt. Changes of
    /// the id or the version have no effect.
    ///
    /// After a conflict the next attempt starts from the row that was found, without reading it again,
    /// unless there was a delay. After two conflicts (or as the policy says by
    /// [`with_locking_after`](RetryPolicy::with_locking_after)) an attempt locks the row, in a transaction
    /// at READ COMMITTED, and can't meet a conflict: it takes three attempts at most, whatever the number of
    /// writers. For the next second, this repository and its clones lock that row at the first attempt.
    ///
    /// ```no_run
    /// # use optilock::{RetryPolicy, Version, postgres::{Error, PgRepository}, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    /// #[derive(Debug, thiserror::Error)]
    /// enum BankError {
    ///     #[error("{missing} cents are missing")]
    ///     Overdrawn { missing: i64 },
    ///     #[error(transparent)]
    ///     Row(#[from] Error),
    /// }
    ///
    /// # async fn doc(accounts: PgRepository<Account>) -> Result<(), Box<dyn std::error::Error>> {
    /// let withdraw = |account: &mut Account| {
    ///     match account.cents.checked_sub(500) {
    ///         Some(left) if left >= 0 => account.cents = left,
    ///         _ => return Err(BankError::Overdrawn { missing: 500 - account.cents }),
    ///     }
    ///     Ok(500)
    /// };
    /// let (account, cents) = accounts.modify(&RetryPolicy::new(), &7, withdraw).await?;
    /// println!("{cents} withdrawn, {} left", account.cents);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `change`, or those of [`get`](Self::get) and [`update`](Self::update), in a
    /// [`RetryError`] with the number of attempts and the reason why the retry stopped. If the reason is
    /// [`StopReason::Unknown`](crate::StopReason::Unknown), the change may have been made.
    pub async fn modify<R, E>(
        &self,
        policy: &RetryPolicy,
        id: &T::Id,
        mut change: impl FnMut(&mut T) -> Result<R, E> + Send,
    ) -> Result<(T, R), RetryError<E>>
    where
        R: Send,
        E: From<Error> + Send,
    {
        let policy = self.policy_for(policy, id);
        let mut run = Run::new(&policy);
        let mut known = None;
        loop {
            let number = run.attempt();
            let result = if number.locking() {
                if number.number() > 1 {
                    self.hot_rows.mark(id);
                }
                self.modify_locked(number, id, &mut change).await
            } else {
                self.modify_once(known.take(), id, &mut change).await
            };
            let failed = match result {
                Ok(done) => {
                    run.succeeded();
                    return Ok(done);
                }
                Err(Lost::Race { expected, current }) => {
                    let conflict = Conflict::new(T::ENTITY, id, expected, current.version());
                    known = Some(current);
                    Failed::new(Error::from(conflict).into(), Class::Conflict)
                }
                Err(Lost::Floor(error)) => {
                    let class = error.class();
                    Failed::new(error.into(), class)
                }
                Err(Lost::Change(error)) => Failed::new(error, Class::Permanent),
            };
            let waited = run.wait(failed).await;
            let waited = waited.map_err(|gave_up| gave_up.map(|failed| failed.error))?;
            // After a delay the row would be outdated again.
            known = known.filter(|_| waited.is_zero());
        }
    }

    /// Locks the row in the caller's transaction, applies `change` and writes it.
    ///
    /// # Errors
    ///
    /// The error of `change`, or those of [`lock_in`](Self::lock_in) and [`update_in`](Self::update_in).
    pub async fn modify_in<R, E>(
        &self,
        conn: &mut PgConnection,
        id: &T::Id,
        change: impl FnOnce(&mut T) -> Result<R, E> + Send,
    ) -> Result<(T, R), E>
    where
        R: Send,
        E: From<Error>,
    {
        let mut row = self.lock_in(conn, id).await?;
        let expected = row.version();
        let answer = change(&mut row)?;
        let write = self.update_of(id, expected, &row);
        let outcome = self.set(conn, write).await?;
        Ok((outcome.written(id, expected)?, answer))
    }

    /// Returns the policy for a row, which locks a hot one at the first attempt.
    fn policy_for(&self, policy: &RetryPolicy, id: &T::Id) -> RetryPolicy {
        let policy = policy.labelled(T::ENTITY);
        if policy.locks() && self.hot_rows.contains(id) {
            return policy.with_locking_after(Some(0));
        }
        policy
    }

    /// Makes one attempt without a lock, from the row that is known or from the one that it reads.
    async fn modify_once<R, E, F>(
        &self,
        known: Option<T>,
        id: &T::Id,
        change: &mut F,
    ) -> Result<(T, R), Lost<T, E>>
    where
        F: FnMut(&mut T) -> Result<R, E>,
    {
        let mut lease = Lease::acquire(&self.pool).await.map_err(Error::before)?;
        let mut row = match known {
            Some(row) => row,
            None => self.get_on(&mut lease, id).await?,
        };
        let expected = row.version();
        let answer = change(&mut row).map_err(Lost::Change)?;
        let write = self.update_of(id, expected, &row);
        match self.set_on(&mut lease, write).await? {
            WriteOutcome::Stale(current) => Err(Lost::Race { expected, current }),
            outcome => Ok((outcome.written(id, expected)?, answer)),
        }
    }

    async fn get_on(&self, lease: &mut Lease, id: &T::Id) -> Result<T, Error> {
        loop {
            let read = self.get_in(lease, id).await;
            if !lease.again(&read).await {
                return read;
            }
        }
    }

    async fn set_on(
        &self,
        lease: &mut Lease,
        write: Write<'_, T>,
    ) -> Result<WriteOutcome<T>, Error> {
        loop {
            let result = self.set_directly(lease, write).await;
            if !lease.again(&result).await {
                return result;
            }
        }
    }

    async fn modify_locked<R, E, F>(
        &self,
        number: Attempt,
        id: &T::Id,
        change: &mut F,
    ) -> Result<(T, R), Lost<T, E>>
    where
        R: Send,
        E: Send,
        F: FnMut(&mut T) -> Result<R, E> + Send,
    {
        // An async closure that may run several times can't capture anything mutably.
        let change = Mutex::new(change);
        let mut op = async |conn: &mut PgConnection, _| {
            let change = |row: &mut T| {
                let mut change = change.lock().unwrap_or_else(PoisonError::into_inner);
                change(row).map_err(Lost::Change)
            };
            self.modify_in(conn, id, change).await
        };
        let result = attempt(&self.pool, READ_COMMITTED, number, &mut op).await;
        result.map_err(|failed| match failed.error {
            Lost::Floor(error) => Lost::Floor(error.settled(failed.class)),
            lost => lost,
        })
    }
}

/// The reason why an attempt did not write.
enum Lost<T, E> {
    /// Another writer was faster. What it wrote.
    Race {
        expected: Version,
        current: T,
    },
    Change(E),
    Floor(Error),
}

impl<T, E> From<Error> for Lost<T, E> {
    fn from(error: Error) -> Self {
        Self::Floor(error)
    }
}

impl<T, E> From<sqlx::Error> for Lost<T, E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Floor(error.into())
    }
}

impl<T, E> Classify for Lost<T, E> {
    fn class(&self) -> Class {
        match self {
            Self::Race { .. } => Class::Conflict,
            Self::Change(_) => Class::Permanent,
            Self::Floor(error) => error.class(),
        }
    }
}
