//! The transaction that an operation works in.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use super::{
    begin::{Begin, Limits},
    lease::{BoxFuture, Fate, Lease},
    operation::TxOperation,
};
use crate::Attempt;

/// A transaction, as [`transact`](crate::postgres::transact()) lends it to its operation.
///
/// It dereferences to [`PgConnection`]: pass `tx` to a function that takes `&mut PgConnection`, and
/// `&mut **tx` where sqlx expects an executor. A `begin` on it is a savepoint. A
/// [`savepoint`](Self::savepoint) is one as well, and its future may be dropped at any point.
///
/// The operation must not end the transaction: it is committed when the operation returns `Ok`, and rolled
/// back when it returns `Err`. If the operation ended it (a `COMMIT` in SQL, a `begin` whose future was
/// dropped), the result is [`StopReason::Unknown`](crate::StopReason::Unknown).
pub struct Tx<'c> {
    pub(super) inner: Transaction<'c, Postgres>,
    /// What happens to the connection when its lease is dropped.
    pub(super) fate: &'c mut Fate,
    pub(super) attempt: Attempt,
    /// The mark of this transaction on the server; `None` if only the crate sends statements.
    pub(super) token: Option<String>,
    pub(super) limits: Limits,
    /// The number of savepoints that were begun and have not ended. If one was dropped, some of its
    /// statements may be in effect.
    pub(super) savepoints: u32,
    /// The number of savepoints that were begun.
    pub(super) named: u32,
}

impl<'c> Tx<'c> {
    /// Begins a transaction. `BEGIN` and its settings are one round trip.
    pub(super) fn begin<'f>(
        lease: &'c mut Lease,
        begin: Begin<'f>,
        attempt: Attempt,
    ) -> BoxFuture<'f, Result<Self, sqlx::Error>>
    where
        'c: 'f,
    {
        Box::pin(async move {
            let (conn, fate) = lease.parts();
            let mut sql = begin.sql.to_owned();
            let token = begin
                .proven
                .then(|| format!("{:016x}", rand::random::<u64>()));
            if let Some(token) = &token {
                // In the transaction the second setting is in force, after a COMMIT the first one, and
                // after a ROLLBACK neither.
                sql +=
                    &format!("; SET optilock.tx = 'c{token}'; SET LOCAL optilock.tx = '{token}'");
            }
            let limits = begin.limits();
            // If the future is dropped, a transaction may be open that sqlx does not know of (sqlx issue
            // 4393).
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
        })
    }
}

impl Tx<'_> {
    /// Returns which attempt of the operation this is.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Runs `op` in a savepoint: if it fails, only its statements are rolled back, and the transaction
    /// continues.
    ///
    /// Use it for a statement that may fail, such as an insert of a key that may be taken: after a failed
    /// statement PostgreSQL refuses all others until the savepoint is rolled back. If the future is dropped
    /// before it ends, the whole transaction is rolled back and ends with an error.
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
    /// The error of the operation, or that of the database. If a statement failed while `op` returned `Ok`, it
    /// is `25P02`.
    pub async fn savepoint<T, E, F>(&mut self, mut op: F) -> Result<T, E>
    where
        E: From<sqlx::Error>,
        F: for<'a, 'c> TxOperation<&'a mut Tx<'c>, Result<T, E>>,
    {
        // In plain SQL: sqlx's own savepoint, dropped while its statement is being sent, would roll back the
        // transaction. With a name of its own: a savepoint that was dropped inside must not match it.
        self.named += 1;
        let name = format!("optilock_{}", self.named);
        execute(self, format!("SAVEPOINT {name}")).await?;
        let before = self.savepoints;
        self.savepoints += 1;
        let mut result = op(self).await;
        if result.is_ok() {
            if self.savepoints != before + 1 {
                return result; // an inner one was dropped, so the whole transaction will be rolled back
            }
            if let Err(error) = execute(self, format!("RELEASE SAVEPOINT {name}")).await {
                result = Err(error.into());
            }
        }
        if result.is_err() {
            let undo = format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}");
            if execute(self, undo).await.is_err() {
                return result; // its statements may be in effect: the whole transaction will be rolled back
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
