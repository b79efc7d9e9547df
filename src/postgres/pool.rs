//! Pool settings for short transactions.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

type Checked<'c, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'c>>;
type Hook =
    Arc<dyn Fn(&mut PgConnection, PoolConnectionMetadata) -> Checked<'_, bool> + Send + Sync>;

/// The limit for the answer of an idle connection. After that it is closed, and another one is opened.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// Returns pool settings for short transactions, to change as needed.
///
/// ```
/// let pool = optilock::postgres::pool_options().max_connections(16);
/// assert_eq!(pool.as_sqlx().get_acquire_timeout().as_secs(), 3);
/// ```
pub fn pool_options() -> PoolOptions {
    PoolOptions::new()
}

/// The [`PgPoolOptions`] of sqlx with a check of idle connections that a hook of the host does not replace.
///
/// # Default
///
/// - A connection that was idle for 5 seconds is pinged before it is used: with a connection that broke when
///   the server restarted, the outcome of the next write would be unknown. A connection that does not answer
///   within 500 ms is closed. sqlx pings every time, a round trip for each operation
///   (`test_before_acquire`, here `false`).
/// - `acquire_timeout` is 3 seconds instead of 30: an operation that gets no connection in that time is
///   [`Busy`](crate::Class::Busy).
/// - `max_connections` is sqlx's 10. A good start is twice the number of the database's cores.
///
/// The setters have the names and meanings of sqlx's. For other settings use [`map`](Self::map).
#[derive(Clone)]
#[must_use]
pub struct PoolOptions {
    inner: PgPoolOptions,
    before_acquire: Option<Hook>,
    ping_after: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PoolOptions {
    /// Returns the defaults, as listed [above](Self#default).
    pub fn new() -> Self {
        Self {
            inner: PgPoolOptions::new()
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_secs(3)),
            before_acquire: None,
            ping_after: Duration::from_secs(5),
        }
    }

    /// Changes any setting of sqlx. A `before_acquire` that is set here has no effect: use
    /// [`before_acquire`](Self::before_acquire).
    pub fn map(self, change: impl FnOnce(PgPoolOptions) -> PgPoolOptions) -> Self {
        Self {
            inner: change(self.inner),
            ..self
        }
    }

    /// Sets how long a connection may be idle without a ping before its next use.
    pub const fn ping_after(mut self, idle: Duration) -> Self {
        self.ping_after = idle;
        self
    }

    /// Sets the maximum number of connections.
    pub fn max_connections(self, most: u32) -> Self {
        self.map(|inner| inner.max_connections(most))
    }

    /// Sets how many connections the pool keeps open.
    pub fn min_connections(self, least: u32) -> Self {
        self.map(|inner| inner.min_connections(least))
    }

    /// Sets how long an operation waits for a connection before it fails with the class
    /// [`Busy`](crate::Class::Busy).
    pub fn acquire_timeout(self, limit: Duration) -> Self {
        self.map(|inner| inner.acquire_timeout(limit))
    }

    /// Sets how long a connection may be idle before it is closed.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.map(|inner| inner.idle_timeout(limit))
    }

    /// Sets the maximum age of a connection.
    pub fn max_lifetime(self, limit: impl Into<Option<Duration>>) -> Self {
        self.map(|inner| inner.max_lifetime(limit))
    }

    /// Sets whether every connection is pinged before its use.
    pub fn test_before_acquire(self, test: bool) -> Self {
        self.map(|inner| inner.test_before_acquire(test))
    }

    /// Sets a hook that runs on every new connection.
    pub fn after_connect<F>(self, hook: F) -> Self
    where
        for<'c> F: Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Checked<'c, ()>
            + Send
            + Sync
            + 'static,
    {
        self.map(|inner| inner.after_connect(hook))
    }

    /// Sets a hook that runs on every connection before its use, after the ping of an idle one. If it returns
    /// `false`, the connection is closed.
    pub fn before_acquire<F>(mut self, hook: F) -> Self
    where
        for<'c> F: Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Checked<'c, bool>
            + Send
            + Sync
            + 'static,
    {
        self.before_acquire = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that runs on every connection that returns to the pool. If it returns `false`, the
    /// connection is closed.
    pub fn after_release<F>(self, hook: F) -> Self
    where
        for<'c> F: Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Checked<'c, bool>
            + Send
            + Sync
            + 'static,
    {
        self.map(|inner| inner.after_release(hook))
    }

    /// Returns the settings as those of sqlx, without the check of idle connections.
    #[must_use]
    pub const fn as_sqlx(&self) -> &PgPoolOptions {
        &self.inner
    }

    /// Opens a pool with one connection.
    ///
    /// # Errors
    ///
    /// The error of sqlx if the URL is invalid or no connection can be made.
    pub async fn connect(self, url: &str) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect(url).await
    }

    /// Opens a pool with one connection.
    ///
    /// # Errors
    ///
    /// The error of sqlx if no connection can be made.
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect_with(options).await
    }

    /// Opens a pool that connects at its first use.
    ///
    /// # Errors
    ///
    /// The error of sqlx if the URL is invalid.
    pub fn connect_lazy(self, url: &str) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect_lazy(url)
    }

    /// Opens a pool that connects at its first use.
    #[must_use]
    pub fn connect_lazy_with(self, options: PgConnectOptions) -> PgPool {
        PgPoolOptions::from(self).connect_lazy_with(options)
    }
}

/// The result includes the check of idle connections. A `before_acquire` that is set on it replaces the check.
impl From<PoolOptions> for PgPoolOptions {
    fn from(options: PoolOptions) -> Self {
        let (hook, ping_after) = (options.before_acquire, options.ping_after);
        options.inner.before_acquire(move |conn, connection| {
            let hook = hook.clone();
            Box::pin(async move {
                if connection.idle_for >= ping_after {
                    match timeout(PING_LIMIT, conn.ping()).await {
                        Ok(alive) => alive?,
                        Err(_silent) => return Ok(false),
                    }
                }
                match hook {
                    Some(hook) => hook(conn, connection).await,
                    None => Ok(true),
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let options = PoolOptions::default();
        assert_eq!(options.ping_after, Duration::from_secs(5));
        assert!(!options.as_sqlx().get_test_before_acquire());
        assert_eq!(
            options.as_sqlx().get_acquire_timeout(),
            Duration::from_secs(3)
        );
        assert_eq!(options.as_sqlx().get_max_connections(), 10);
    }
}
