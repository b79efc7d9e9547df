//! The end of a transaction: whether it is still the one that was begun, and its outcome.
//!
//! The parts that send something are not generic, and their futures are boxed: a host compiles them once
//! and not for each operation.

use sqlx::{Connection, Row};

use super::{
    failed::Failed,
    lease::{BoxFuture, Fate, Lease},
    tx::Tx,
};
use crate::{
    Class, Classify,
    postgres::classify::{Judgement, Phase, class_in},
};

/// Whether the transaction is still the one that was begun.
const READ_MARK: &str = "SELECT pg_catalog.current_setting('optilock.tx', true)";
/// Whether the session accepts writes, and the mark that the last committed transaction left.
const READ_SESSION: &str = "SELECT pg_catalog.current_setting('transaction_read_only'),
    pg_catalog.current_setting('optilock.tx', true)";

/// The state of a transaction when its operation has returned.
enum Standing {
    Open,
    /// A statement failed, and PostgreSQL refuses all others.
    Aborted(sqlx::Error),
    /// It is not the one that was begun: the operation ended that one.
    Ended,
    /// The connection is lost, and nothing was committed.
    Lost(sqlx::Error),
}

/// What is sent to end a transaction.
#[derive(Clone, Copy)]
enum Step {
    Commit,
    RollBack {
        /// A statement had failed, so that the transaction could not be asked for its mark: whether
        /// something was committed inside is known only afterwards.
        aborted: bool,
        /// The database was busy, which may mean that it became a replica.
        busy: bool,
    },
    /// Nothing: the connection is closed.
    Close,
}

/// A transaction that has ended.
pub(super) struct Ended<T, E> {
    result: Result<T, Failed<E>>,
    /// What the session is asked for before its connection is used again.
    examine: Option<Examine>,
}

struct Examine {
    /// The mark of the transaction in which something may have been committed.
    token: Option<String>,
}

impl<T, E> From<Failed<E>> for Ended<T, E> {
    fn from(failed: Failed<E>) -> Self {
        Self {
            result: Err(failed),
            examine: None,
        }
    }
}

impl<'c> Tx<'c> {
    /// Ends the transaction: commits it if the operation succeeded and nothing speaks against it, else
    /// rolls it back.
    pub(super) async fn end<T, E>(mut self, result: Result<T, E>) -> Ended<T, E>
    where
        E: From<sqlx::Error> + Classify,
    {
        let standing = self.standing().await;
        let (step, result) = self.judge(standing, result);
        match self.finish(step).await {
            Ok(examine) => Ended { result, examine },
            Err((refusal, judgement)) => {
                Failed::judged(refusal.into(), judgement).of_commit().into()
            }
        }
    }

    /// Finds out whether the transaction that was begun is still open. One round trip, and none if only
    /// the crate has sent its statements.
    fn standing(&mut self) -> BoxFuture<'_, Standing> {
        Box::pin(async move {
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
        })
    }

    /// Decides how the transaction ends, and what that makes of the operation's result. A commit may still
    /// be refused.
    fn judge<T, E>(&self, standing: Standing, result: Result<T, E>) -> (Step, Result<T, Failed<E>>)
    where
        E: From<sqlx::Error> + Classify,
    {
        let aborted = matches!(standing, Standing::Aborted(_));
        let failed = match (standing, result) {
            (Standing::Open, Ok(value)) if self.savepoints == 0 => {
                return (Step::Commit, Ok(value));
            }
            (Standing::Open, Ok(_)) => self.limits.failed(dropped_savepoint(), Phase::Before),
            (Standing::Aborted(refusal), Ok(_)) => self.limits.failed(refusal, Phase::Before),
            (Standing::Open | Standing::Aborted(_), Err(error)) => self.refused(error),
            (Standing::Ended, result) => {
                let error = result
                    .err()
                    .unwrap_or_else(|| ended_by_the_operation().into());
                return (Step::Close, Err(Failed::new(error, Class::Unknown)));
            }
            (Standing::Lost(lost), Ok(_)) => {
                let failed = self.limits.failed(lost, Phase::Before);
                return (Step::Close, Err(failed));
            }
            (Standing::Lost(lost), Err(error)) => {
                // The server's last message, which a statement of the operation would have read.
                let phase = match lost.as_database_error() {
                    Some(_) => Phase::Commit,
                    None => Phase::Before,
                };
                return (Step::Close, Err(self.limits.judged(error, phase)));
            }
        };
        let busy = matches!(failed.class, Class::Busy { .. });
        (Step::RollBack { aborted, busy }, Err(failed))
    }

    /// Classifies the operation's own error while the connection lives: an unknown outcome is then that of
    /// another connection, or of something else that the operation did.
    fn refused<E: Classify>(&self, error: E) -> Failed<E> {
        let phase = match self.token {
            Some(_) => Phase::Commit,
            None => Phase::Before,
        };
        self.limits.judged(error, phase)
    }

    /// Sends what `step` says. The error is that of a commit.
    fn finish(
        self,
        step: Step,
    ) -> BoxFuture<'c, Result<Option<Examine>, (sqlx::Error, Judgement)>> {
        Box::pin(async move {
            *self.fate = Fate::Close;
            match step {
                Step::Commit => self.commit().await.map(|()| None),
                Step::RollBack { aborted, busy } => Ok(self.roll_back(aborted, busy).await),
                Step::Close => Ok(None),
            }
        })
    }

    async fn commit(self) -> Result<(), (sqlx::Error, Judgement)> {
        let Self {
            inner,
            fate,
            limits,
            ..
        } = self;
        match inner.commit().await {
            Ok(()) => {
                *fate = Fate::Return;
                Ok(())
            }
            Err(error) => {
                let judgement = limits.situation(Phase::Commit).judge(&error);
                // The server reports that it rolled back: the connection can be used again.
                if judgement.class != Class::Unknown {
                    *fate = Fate::Settle;
                }
                Err((error, judgement))
            }
        }
    }

    async fn roll_back(self, aborted: bool, busy: bool) -> Option<Examine> {
        let Self {
            inner, fate, token, ..
        } = self;
        if inner.rollback().await.is_err() {
            return None;
        }
        let token = token.filter(|_| aborted);
        if token.is_some() || busy {
            return Some(Examine { token });
        }
        *fate = Fate::Return;
        None
    }
}

/// Checks what the connection's state says of a transaction that has ended.
pub(super) async fn conclude<T, E>(lease: &mut Lease, ended: Ended<T, E>) -> Result<T, Failed<E>>
where
    E: From<sqlx::Error>,
{
    match ended.result {
        Ok(value) if !lease.is_in_transaction() => Ok(value),
        // sqlx released a savepoint instead of committing.
        Ok(_) => {
            *lease.parts().1 = Fate::Close;
            Err(Failed::new(leaked_savepoint().into(), Class::Permanent))
        }
        Err(mut failed) => {
            if let Some(examine) = ended.examine
                && has_committed(lease, examine).await
            {
                failed.class = Class::Unknown;
            }
            Err(failed)
        }
    }
}

/// Asks the session whether it accepts writes, without which its connection is closed. Returns whether
/// something was committed in the examined transaction.
fn has_committed(lease: &mut Lease, Examine { token }: Examine) -> BoxFuture<'_, bool> {
    Box::pin(async move {
        let session = sqlx::raw_sql(READ_SESSION).fetch_one(&mut **lease).await;
        let session = session.and_then(|row| {
            let read_only: String = row.try_get(0)?;
            Ok((read_only == "off", row.try_get::<Option<String>, _>(1)?))
        });
        match session {
            Ok((_, mark)) if token.is_some_and(|it| mark == Some(format!("c{it}"))) => return true,
            Ok((true, _)) => *lease.parts().1 = Fate::Return,
            // The server accepts no writes, or the connection is lost: it stays marked to be closed.
            Ok((false, _)) | Err(_) => {}
        }
        false
    })
}

fn dropped_savepoint() -> sqlx::Error {
    sqlx::Error::InvalidArgument(
        "a savepoint was dropped before it ended, or could not be undone, and the transaction was \
         rolled back"
            .to_owned(),
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
