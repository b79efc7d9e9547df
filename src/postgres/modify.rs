//! Read, change, compare-and-set, again.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;

use super::{
    Error, Failed, Lease, PgRepository, PgVersioned, READ_COMMITTED, WriteOutcome, attempt,
};
use crate::{Attempt, Class, Classify, Conflict, RetryError, RetryPolicy, Version, retry::Run};

impl<T: PgVersioned> PgRepository<T> {
    /// Reads the row, has `change` change it, and writes it if nobody did meanwhile; else starts
    /// again, as often as `policy` allows. Returns the row as written, and what `change` returned.
    ///
    /// `change` sees the current row on every attempt and should touch nothing else, as it may run
    /// several times. Its own error ends it: nothing is written and it is not retried. What it does
    /// to the id or the version is not heeded.
    ///
    /// An attempt that lost starts from the row that it found instead of reading again, if it need
    /// not wait. After two conflicts (or what the policy says of
    /// [locking](RetryPolicy::with_locking_after)) an attempt locks the row, in a transaction at
    /// READ COMMITTED, and can't lose: three attempts at most, however many want the row. For a
    /// second from then on, this repository and its clones lock that row at once.
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
    /// The error of `change`, or an [`Error`] as of [`get`](Self::get) and [`update`](Self::update),
    /// in a [`RetryError`] that says how many attempts were made and why it stopped.
    /// [`StopReason::Unknown`](crate::StopReason::Unknown): the change may have been made.
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
        let mut policy = policy.labelled(T::ENTITY);
        if policy.locks() && self.heat.is_hot(id) {
            policy = policy.with_locking_after(Some(0));
        }
        let mut run = Run::new(&policy);
        let mut known = None;
        loop {
            let number = run.attempt();
            let result = if number.locking() {
                if number.number() > 1 {
                    self.heat.raise(id);
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
            // After a wait it would be stale again.
            known = known.filter(|_| waited.is_zero());
        }
    }

    /// [`modify`](Self::modify) in the caller's transaction: locks the row, changes it, writes it.
    ///
    /// # Errors
    ///
    /// The error of `change`, or an [`Error`] as of [`lock_in`](Self::lock_in) and
    /// [`update_in`](Self::update_in).
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
        let verdict = self.set(conn, id, expected, &row).await?;
        Ok((verdict.written(id, expected)?, answer))
    }

    /// One attempt without a lock, from the row that is known or from a fresh one.
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
            None => loop {
                let read = self.get_in(&mut lease, id).await;
                if !lease.again(&read).await {
                    break read?;
                }
            },
        };
        let expected = row.version();
        let answer = change(&mut row).map_err(Lost::Change)?;
        let verdict = loop {
            let result = self.set_alone(&mut lease, id, expected, &row).await;
            if !lease.again(&result).await {
                break result?;
            }
        };
        match verdict {
            WriteOutcome::Stale(current) => Err(Lost::Race { expected, current }),
            verdict => Ok((verdict.written(id, expected)?, answer)),
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
        // An async closure that may run again can't capture anything mutably.
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

/// Why an attempt did not write.
enum Lost<T, E> {
    /// Somebody was faster, and this is what they wrote.
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
