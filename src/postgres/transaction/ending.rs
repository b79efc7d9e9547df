//! How a transaction begins and ends: by what it is known again, and what became of it.

use sqlx::{AssertSqlSafe, Connection, Row};

use super::{Tx, attempt::Begin};
use crate::{
    Attempt, Class, Classify,
    postgres::{
        Failed, Phase, class_in,
        lease::{Fate, Lease},
    },
};

/// Whether the transaction is still the one that was begun.
const READ_MARK: &str = "SELECT pg_catalog.current_setting('optilock.tx', true)";
/// Whether the session takes writes, and the mark that the last committed transaction left.
const READ_SESSION: &str = "SELECT pg_catalog.current_setting('transaction_read_only'),
    pg_catalog.current_setting('optilock.tx', true)";

/// What became of a transaction by the time at which it is to end.
enum Standing {
    Open,
    /// A statement failed, and PostgreSQL refuses all others.
    Aborted(sqlx::Error),
    /// It is not the one that was begun: the operation ended that one.
    Ended,
    /// The connection is lost, and nothing was committed.
    Lost(sqlx::Error),
}

/// A transaction that did not commit.
pub(crate) struct Ended<E> {
    failed: Failed<E>,
    /// What the session is to be asked for before its connection is used again.
    examine: Option<Examine>,
}

struct Examine {
    /// Was something committed in the transaction that had this mark?
    token: Option<String>,
}

impl<E> From<Failed<E>> for Ended<E> {
    fn from(failed: Failed<E>) -> Self {
        let examine = None;
        Self { failed, examine }
    }
}

impl<'c> Tx<'c> {
    /// Begins a transaction. `BEGIN` and everything that goes with it is one round trip.
    pub(crate) async fn begin(
        lease: &'c mut Lease,
        begin: &Begin<'_>,
        attempt: Attempt,
    ) -> Result<Self, sqlx::Error> {
        let (conn, fate) = lease.parts();
        let mut sql = begin.sql.to_owned();
        let token = begin
            .proven
            .then(|| format!("{:016x}", rand::random::<u64>()));
        if let Some(token) = &token {
            // In the transaction the second one is seen, after a COMMIT the first one, and after a
            // ROLLBACK neither.
            sql += &format!("; SET optilock.tx = 'c{token}'; SET LOCAL optilock.tx = '{token}'");
        }
        let limits = begin.limits();
        // Dropped meanwhile, a transaction may be open that sqlx does not know of (sqlx issue 4393).
        *fate = Fate::Close;
        let inner = conn.begin_with(AssertSqlSafe(sql)).await?;
        *fate = Fate::Settle;
        Ok(Self {
            inner,
            fate,
            attempt,
            token,
            limits,
            savepoints: 0,
            named: 0,
        })
    }

    /// Ends the transaction as the operation's result wants it.
    pub(crate) async fn end<T, E>(mut self, result: Result<T, E>) -> Result<T, Ended<E>>
    where
        E: From<sqlx::Error> + Classify,
    {
        match self.standing().await {
            Standing::Open => match result {
                Ok(value) if self.savepoints == 0 => Ok(self.commit(value).await?),
                Ok(_) => {
                    let failed = self.limits.failed(dropped_savepoint(), Phase::Before);
                    Err(self.roll_back(failed, false).await)
                }
                Err(error) => {
                    let failed = self.refused(error);
                    Err(self.roll_back(failed, false).await)
                }
            },
            Standing::Aborted(refusal) => {
                let failed = match result {
                    Ok(_) => self.limits.failed(refusal, Phase::Before),
                    Err(error) => self.refused(error),
                };
                Err(self.roll_back(failed, true).await)
            }
            Standing::Ended => {
                *self.fate = Fate::Close;
                let error = result
                    .err()
                    .unwrap_or_else(|| ended_by_the_operation().into());
                Err(Failed::new(error, Class::Unknown).into())
            }
            Standing::Lost(lost) => {
                *self.fate = Fate::Close;
                // A statement of the operation would have read what the server said at the end.
                let unread = lost.as_database_error().is_some();
                Err(match result {
                    Ok(_) => self.limits.failed(lost, Phase::Before).into(),
                    Err(error) if unread => self.limits.judged(error, Phase::Commit).into(),
                    Err(error) => self.limits.judged(error, Phase::Before).into(),
                })
            }
        }
    }

    /// Whether the transaction that was begun is still open. One round trip, unless the crate alone has
    /// sent its statements.
    async fn standing(&mut self) -> Standing {
        if !self.inner.is_in_transaction() {
            return Standing::Ended;
        }
        let Some(token) = &self.token else {
            return Standing::Open;
        };
        let mark = sqlx::query_scalar(READ_MARK).fetch_one(&mut *self.inner);
        match mark.await {
            Ok(found) if Option::<String>::as_ref(&found) == Some(token) => Standing::Open,
            Ok(_) => Standing::Ended,
            Err(error) if class_in(&error, Phase::Commit) == Class::Unknown => {
                Standing::Lost(error)
            }
            Err(error) => Standing::Aborted(error),
        }
    }

    async fn commit<T, E: From<sqlx::Error>>(self, value: T) -> Result<T, Failed<E>> {
        let Self {
            inner,
            fate,
            limits,
            ..
        } = self;
        *fate = Fate::Close;
        match inner.commit().await {
            Ok(()) => {
                *fate = Fate::Return;
                Ok(value)
            }
            Err(error) => {
                let failed: Failed<E> = limits.failed(error, Phase::Commit);
                // The server says itself that it rolled back: the connection is as good as before.
                if failed.class != Class::Unknown {
                    *fate = Fate::Settle;
                }
                Err(failed)
            }
        }
    }

    /// Rolls back. `aborted`: a statement had failed, so that the transaction could not be asked for its
    /// mark, and whether something was committed inside shows only afterwards.
    async fn roll_back<E>(self, failed: Failed<E>, aborted: bool) -> Ended<E> {
        let Self {
            inner, fate, token, ..
        } = self;
        *fate = Fate::Close;
        if inner.rollback().await.is_err() {
            return failed.into();
        }
        let token = token.filter(|_| aborted);
        // Busy may mean that the server became a replica.
        if token.is_some() || matches!(failed.class, Class::Busy { .. }) {
            let examine = Some(Examine { token });
            return Ended { failed, examine };
        }
        *fate = Fate::Return;
        failed.into()
    }

    /// The operation's own error, while the connection lives: what calls itself unknown is then of
    /// another connection, or of something else that the operation did.
    fn refused<E: Classify>(&self, error: E) -> Failed<E> {
        let phase = match self.token {
            Some(_) => Phase::Commit,
            None => Phase::Before,
        };
        self.limits.judged(error, phase)
    }
}

/// What the connection's state says of a transaction that has ended.
pub(crate) async fn conclude<T, E>(
    lease: &mut Lease,
    ended: Result<T, Ended<E>>,
) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error>,
{
    let (mut failed, token) = match ended {
        Ok(value) if !lease.is_in_transaction() => return Ok(value),
        // sqlx released a savepoint where it was to commit.
        Ok(_) => {
            *lease.parts().1 = Fate::Close;
            return Err(Failed::new(leaked_savepoint().into(), Class::Permanent));
        }
        Err(Ended { failed, examine }) => match examine {
            Some(Examine { token }) => (failed, token),
            None => return Err(failed),
        },
    };
    let session = sqlx::raw_sql(READ_SESSION).fetch_one(&mut **lease).await;
    let session = session.and_then(|row| {
        let read_only: String = row.try_get(0)?;
        Ok((read_only == "off", row.try_get::<Option<String>, _>(1)?))
    });
    match session {
        Ok((_, mark)) if token.is_some_and(|it| mark == Some(format!("c{it}"))) => {
            failed.class = Class::Unknown;
        }
        Ok((true, _)) => *lease.parts().1 = Fate::Return,
        // It leads to a server that takes no writes, or is lost: it stays as it is, to be closed.
        Ok((false, _)) | Err(_) => {}
    }
    Err(failed)
}

fn dropped_savepoint() -> sqlx::Error {
    sqlx::Error::InvalidArgument(
        "a savepoint was dropped before it ended, or could not be undone, and the transaction was rolled back".to_owned(),
    )
}

fn leaked_savepoint() -> sqlx::Error {
    sqlx::Error::InvalidArgument(
        "a nested transaction was neither committed, rolled back nor dropped, and the transaction was \
         rolled back"
            .to_owned(),
    )
}

/// `Protocol`, as its class is `Unknown` wherever it is asked for.
fn ended_by_the_operation() -> sqlx::Error {
    sqlx::Error::Protocol(
        "the operation ended its transaction itself, by a COMMIT or ROLLBACK in SQL or by a begin() that \
         was dropped: what it sent before and after that may be stored"
            .to_owned(),
    )
}
