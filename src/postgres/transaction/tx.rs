use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use super::{TxOperation, attempt::Limits};
use crate::{Attempt, postgres::lease::Fate};

/// A transaction, as [`transact`](super::transact()) lends it to its operation.
///
/// It is a [`PgConnection`] to everything that takes one: pass `tx` where a function wants
/// `&mut PgConnection`, and `&mut **tx` where sqlx wants an executor. A `begin` on it is a savepoint, and
/// so is [`savepoint`](Self::savepoint), which may be dropped at any point.
///
/// The operation does not end it: the transaction is committed when the operation returns `Ok` and rolled
/// back when it returns `Err`. An operation that ended it all the same (a `COMMIT` in SQL, a `begin` whose
/// future was dropped) is answered with [`StopReason::Unknown`](crate::StopReason::Unknown).
pub struct Tx<'c> {
    pub(super) inner: Transaction<'c, Postgres>,
    /// What becomes of the connection.
    pub(super) fate: &'c mut Fate,
    pub(super) attempt: Attempt,
    /// What marks this transaction on the server; `None` where the crate alone sends statements.
    pub(super) token: Option<String>,
    pub(super) limits: Limits,
    /// Savepoints that were begun and have not ended. Of one that was dropped, some statements may stand.
    pub(super) savepoints: u32,
    /// How many savepoints were begun.
    pub(super) named: u32,
}

impl Tx<'_> {
    /// Which attempt of the operation this is.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Runs `op` so that its statements can be undone alone: when it fails they are rolled back, and the
    /// transaction goes on.
    ///
    /// Use it for what may fail, such as an insert of a key that may be taken: after a failed statement
    /// PostgreSQL refuses all others until the savepoint is rolled back. When the future is dropped before
    /// it ends, the whole transaction ends rolled back, with an error.
    ///
    /// ```no_run
    /// use optilock::{RetryPolicy, postgres::transact};
    ///
    /// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// transact(&pool, &RetryPolicy::new(), async |tx| {
    ///     let tagged = tx
    ///         .savepoint(async |tx| {
    ///             sqlx::query("INSERT INTO tags (name) VALUES ('new')").execute(&mut **tx).await
    ///         })
    ///         .await;
    ///     if tagged.is_err() {
    ///         // The tag exists; the transaction goes on.
    ///     }
    ///     sqlx::query("UPDATE posts SET tag = 'new'").execute(&mut **tx).await
    /// })
    /// .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The operation's, or the database's: also that of a statement that failed inside while `op` returned
    /// `Ok` (`25P02`).
    pub async fn savepoint<T, E, F>(&mut self, mut op: F) -> Result<T, E>
    where
        E: From<sqlx::Error>,
        F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
    {
        // In plain SQL: sqlx's own, dropped while it is on its way, would roll back the transaction. Of
        // a name of its own: one that was dropped inside must not be taken for this one.
        self.named += 1;
        let name = format!("optilock_{}", self.named);
        execute(self, format!("SAVEPOINT {name}")).await?;
        let before = self.savepoints;
        self.savepoints += 1;
        let mut result = op(self).await;
        if result.is_ok() {
            if self.savepoints != before + 1 {
                return result; // one inside was dropped, so the whole transaction will be rolled back
            }
            if let Err(error) = execute(self, format!("RELEASE SAVEPOINT {name}")).await {
                result = Err(error.into());
            }
        }
        if result.is_err() {
            let undo = format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}");
            if execute(self, undo).await.is_err() {
                return result; // and what is inside may stand: the whole transaction will be rolled back
            }
        }
        self.savepoints = before;
        result
    }
}

/// `sql`: built from constants and numbers.
async fn execute(conn: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .map(drop)
}

impl Deref for Tx<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
