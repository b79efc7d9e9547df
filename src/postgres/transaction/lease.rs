//! The guard of a pooled connection.

use std::{
    ops::{Deref, DerefMut},
    pin::{Pin, pin},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{runtime, time::timeout};

#[cfg(feature = "inventory")]
use super::in_progress::InProgress;
use super::operation::TxOperation;
use crate::postgres::classify::{is_read_only, is_stale_plan};

/// The limit for a connection's answer on its way back to the pool. After that it is closed, so that a
/// silent network costs the pool no connection.
const RETURN_LIMIT: Duration = Duration::from_secs(1);

/// The guard of a pooled connection: on drop it returns the connection to the pool within
/// [`RETURN_LIMIT`], or closes it.
///
/// sqlx returns a connection by a task that pings the server without a limit. If a future is dropped while
/// the network is silent, the pool would be without its connection until TCP gives up, which takes about
/// 15 minutes.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None` only during `drop`.
    conn: Option<PoolConnection<Postgres>>,
    fate: Fate,
    refreshed: bool,
    /// The number of operations that have used the connection since it left the pool.
    #[cfg(feature = "inventory")]
    uses: u32,
    /// Ends when the connection is back in the pool, or closed.
    #[cfg(feature = "inventory")]
    returning: Option<InProgress>,
    /// The runtime that drives the connection. The one in which it is dropped may have stopped.
    runtime: Option<runtime::Handle>,
}

/// An error type of this crate that may hold an error of sqlx.
pub(crate) trait OfSqlx {
    /// Returns the error of a statement that could not yet take effect.
    fn before(error: sqlx::Error) -> Self;
    /// Returns the error of the database, if nothing happened because of it.
    fn refusal(&self) -> Option<&sqlx::Error>;
}

/// What happens to a connection when its lease is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is between two statements and returns to the pool.
    Return,
    /// It is in a statement or an open transaction: what is queued is sent, the answers are read, and it
    /// returns to the pool.
    Settle,
    /// It is unusable and is closed, and the server rolls back its open transaction.
    Close,
}

const TAKEN: &str = "a lease has its connection until it is dropped";

/// The future of a function that is not generic. It is allocated where a round trip follows, so that the
/// futures of generic operations are small, and callers do not compile it again.
pub(crate) type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

impl Lease {
    /// Takes a connection out of the pool.
    pub(crate) fn acquire(pool: &PgPool) -> BoxFuture<'_, Result<Self, sqlx::Error>> {
        Box::pin(async {
            Ok(Self {
                conn: Some(pool.acquire().await?),
                fate: Fate::Settle,
                refreshed: false,
                #[cfg(feature = "inventory")]
                uses: 0,
                #[cfg(feature = "inventory")]
                returning: None,
                runtime: runtime::Handle::try_current().ok(),
            })
        })
    }

    /// Returns the connection, and what happens to it when the lease is dropped.
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &mut Fate) {
        (self.conn.as_mut().expect(TAKEN), &mut self.fate) // `None` only in `drop`
    }

    /// Makes the connection ready for its return after an operation ended with `result`. Returns
    /// whether the operation is to be run again on it: see [`refresh`](Self::refresh).
    pub(crate) fn again<'a, T, E: OfSqlx>(
        &'a mut self,
        result: &'a Result<T, E>,
    ) -> impl Future<Output = bool> + Send + use<'a, T, E> {
        self.recover(result.as_ref().err().and_then(OfSqlx::refusal))
    }

    /// Does the same as [`again`](Self::again) for an error of the database.
    pub(crate) async fn recover(&mut self, error: Option<&sqlx::Error>) -> bool {
        match error {
            Some(error) if is_stale_plan(error) => return self.refresh().await,
            // After a failover the connection is one to a replica.
            Some(error) if is_read_only(error) => self.fate = Fate::Close,
            _ if self.fate == Fate::Settle => self.fate = Fate::Return,
            _ => {}
        }
        false
    }

    /// Makes the connection prepare every statement again: after a change of the schema, its prepared
    /// statements no longer fit, and the server refuses them before they run. Returns whether the refused
    /// operation is to be run again on it, which happens at most once.
    pub(crate) async fn refresh(&mut self) -> bool {
        self.fate = Fate::Close;
        if self.clear_cached_statements().await.is_err() {
            return false;
        }
        self.fate = Fate::Settle;
        !std::mem::replace(&mut self.refreshed, true)
    }
}

#[cfg(feature = "inventory")]
impl Lease {
    /// Counts an operation that has ended. Returns whether another one may use the connection, which then has
    /// had less than `limit` of them: it is between two statements, and a runtime drives it.
    pub(crate) fn is_reusable(&mut self, limit: u32) -> bool {
        self.uses += 1;
        self.uses < limit
            && self.fate == Fate::Return
            && self.runtime.is_some()
            && !self.is_in_transaction()
    }

    /// Makes the lease as one that was just acquired.
    pub(crate) const fn begin_again(&mut self) {
        (self.fate, self.refreshed) = (Fate::Settle, false);
    }

    /// Returns the connection to the pool, and holds `returning` until it is there.
    pub(crate) fn give_back(mut self, returning: InProgress) {
        self.returning = Some(returning);
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

#[cfg(feature = "inventory")]
impl Lease {
    /// Closes the connection.
    pub(crate) fn close(mut self) {
        self.fate = Fate::Close;
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
        #[cfg(feature = "inventory")]
        let returning = self.returning.take();
        #[cfg(not(feature = "inventory"))]
        let returning = ();
        let usable = self.fate != Fate::Close && !conn.is_in_transaction();
        // A task that is spawned while a runtime unwinds is dropped immediately, and without a runtime
        // nothing can be spawned.
        let spawns = !thread::panicking() && runtime::Handle::try_current().is_ok();
        match self.runtime.take().filter(|_| spawns) {
            Some(runtime) if usable => give_back(conn, &runtime, self.fate, returning),
            Some(runtime) => close(conn, &runtime),
            None => close_now(conn),
        }
    }
}

/// Returns the connection to the pool by a task with a limit.
fn give_back(
    mut conn: PoolConnection<Postgres>,
    runtime: &runtime::Handle,
    fate: Fate,
    returning: impl Send + 'static,
) {
    if fate == Fate::Settle {
        // Sends a queued ROLLBACK immediately: a runtime on one thread may not run again. The task reads the
        // answer.
        let mut context = Context::from_waker(Waker::noop());
        let _sent = pin!(conn.ping()).poll(&mut context);
    }
    // Dropping the connection does the same by a task without a limit. The method is public and hidden in
    // sqlx 0.9.
    let returned = conn.return_to_pool();
    runtime.spawn(async move {
        let _ended = timeout(RETURN_LIMIT, returned).await;
        drop(returning);
    });
}

/// Closes the connection, with a message to the server if that works within the limit.
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
    // would panic. This runtime is never driven, and ends with the function.
    let outside = runtime::Handle::try_current().is_err();
    let stand_in = outside.then(|| runtime::Builder::new_current_thread().build().ok());
    let _context = stand_in
        .as_ref()
        .and_then(Option::as_ref)
        .map(runtime::Runtime::enter);
    drop(conn.detach());
}
