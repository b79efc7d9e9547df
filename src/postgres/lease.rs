use std::{
    ops::{Deref, DerefMut},
    pin::pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{runtime, time::timeout};

use super::{TxOperation, is_read_only, is_stale_plan};

/// The longest that a connection may take to answer on its way back to the pool. After that it is
/// closed, so that a network that went silent costs the pool no connection.
const RETURN_LIMIT: Duration = Duration::from_secs(1);

/// The guard of a pooled connection: on drop it returns the connection to the pool within
/// [`RETURN_LIMIT`], or closes it.
///
/// sqlx returns a connection by a task that asks the server for a sign of life and waits for it
/// without a limit. A future that is dropped while the network is silent would keep its connection
/// from the pool until TCP gives up, which takes a quarter of an hour.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None` only while it is dropped.
    conn: Option<PoolConnection<Postgres>>,
    fate: Fate,
    refreshed: bool,
    /// The runtime that drives the connection; the one in which it is dropped may stand still.
    runtime: Option<runtime::Handle>,
}

/// An error of the crate's that may be one of sqlx's.
pub(crate) trait OfSqlx {
    /// Of a statement that could not yet take effect.
    fn before(error: sqlx::Error) -> Self;
    /// What the database said, if nothing happened for that.
    fn refusal(&self) -> Option<&sqlx::Error>;
}

/// What becomes of a connection when its lease is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Between two statements: the pool takes it back.
    Return,
    /// In a statement or an open transaction: what the caller has queued is sent, its answers are
    /// read, and the pool takes it back.
    Settle,
    /// Unusable: it is closed, and the server rolls back what it had open.
    Close,
}

const TAKEN: &str = "a lease has its connection until it is dropped";

impl Lease {
    pub(crate) async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self {
            conn: Some(pool.acquire().await?),
            fate: Fate::Settle,
            refreshed: false,
            runtime: runtime::Handle::try_current().ok(),
        })
    }

    /// The connection, and what becomes of it from now on.
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &mut Fate) {
        (self.conn.as_mut().expect(TAKEN), &mut self.fate) // `None` only in `drop`
    }

    /// Makes the connection ready for its return after an operation ended with `result`. Returns
    /// whether the operation is to be run again on it: see [`refresh`](Self::refresh).
    pub(crate) async fn again<T, E: OfSqlx>(&mut self, result: &Result<T, E>) -> bool {
        let error = result.as_ref().err().and_then(OfSqlx::refusal);
        self.recover(error).await
    }

    /// [`again`](Self::again), by what the database said.
    pub(crate) async fn recover(&mut self, error: Option<&sqlx::Error>) -> bool {
        match error {
            Some(error) if is_stale_plan(error) => return self.refresh().await,
            // After a failover it leads to a replica.
            Some(error) if is_read_only(error) => self.fate = Fate::Close,
            _ if self.fate == Fate::Settle => self.fate = Fate::Return,
            _ => {}
        }
        false
    }

    /// Has the connection prepare every statement again: after a change of the schema, what it had
    /// prepared no longer fits, and the server refuses it before it runs. Returns whether what was
    /// refused is to be run again on it, which is so once at most.
    pub(crate) async fn refresh(&mut self) -> bool {
        self.fate = Fate::Close;
        if self.clear_cached_statements().await.is_err() {
            return false;
        }
        self.fate = Fate::Settle;
        !std::mem::replace(&mut self.refreshed, true)
    }
}

/// Runs `op` on a connection of the pool, outside of a transaction: each of its statements commits
/// directly.
pub(crate) async fn on_connection<T, E, F>(pool: &PgPool, mut op: F) -> Result<T, E>
where
    E: OfSqlx,
    F: for<'c> TxOperation<&'c mut PgConnection, Result<T, E>>,
{
    let mut lease = Lease::acquire(pool).await.map_err(E::before)?;
    loop {
        let result = op(&mut lease).await;
        if !lease.again(&result).await {
            return result;
        }
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.conn.as_ref().expect(TAKEN) // `None` only in `drop`
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.parts().0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let usable = self.fate != Fate::Close && !conn.is_in_transaction();
        // A task that is spawned while a runtime unwinds is dropped at once; and without a runtime
        // there is none to spawn it on.
        let spawns = !thread::panicking() && runtime::Handle::try_current().is_ok();
        match self.runtime.take().filter(|_| spawns) {
            Some(runtime) if usable => give_back(conn, &runtime, self.fate),
            Some(runtime) => close(conn, &runtime),
            None => close_now(conn),
        }
    }
}

/// Returns the connection by a task with a limit.
fn give_back(mut conn: PoolConnection<Postgres>, runtime: &runtime::Handle, fate: Fate) {
    if fate == Fate::Settle {
        // Sends a queued ROLLBACK here and now: a runtime on one thread may stand still from here on.
        // The answer is read by the task.
        let mut context = Context::from_waker(Waker::noop());
        let _sent = pin!(conn.ping()).poll(&mut context);
    }
    // What dropping the connection does, as a future of our own: the one that sqlx spawns has no
    // limit. It is public and hidden in sqlx 0.9.
    let returned = conn.return_to_pool();
    runtime.spawn(async move { timeout(RETURN_LIMIT, returned).await.is_ok() });
}

/// Closes the connection, politely if that works within the limit.
fn close(conn: PoolConnection<Postgres>, runtime: &runtime::Handle) {
    let mut closed = Box::pin(conn.close());
    let mut context = Context::from_waker(Waker::noop());
    if closed.as_mut().poll(&mut context).is_pending() {
        runtime.spawn(async move { timeout(RETURN_LIMIT, closed).await.is_ok() });
    }
}

/// Closes the connection where nothing can be awaited.
fn close_now(conn: PoolConnection<Postgres>) {
    // A pool with `min_connections` spawns a task when a connection leaves it; without a runtime sqlx
    // would panic. This one is never driven, and ends with this function.
    let outside = runtime::Handle::try_current().is_err();
    let stand_in = outside.then(|| runtime::Builder::new_current_thread().build().ok());
    let _context = stand_in
        .as_ref()
        .and_then(Option::as_ref)
        .map(runtime::Runtime::enter);
    drop(conn.detach());
}
