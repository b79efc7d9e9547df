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

/// The longest that an idle connection may take to answer; it is closed then, and another one opened.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// Pool settings that suit short transactions: start from these, then set your own.
///
/// ```
/// let pool = optilock::postgres::pool_options().max_connections(16);
/// assert_eq!(pool.as_sqlx().get_acquire_timeout().as_secs(), 3);
/// ```
pub fn pool_options() -> PoolOptions {
    PoolOptions::new()
}

/// sqlx's [`PgPoolOptions`] with a check of idle connections that a hook of the host's does not replace.
///
/// # Default
///
/// - A connection that was idle for 5 seconds is pinged before it is handed out: one that died with a
///   restart of the server would leave the outcome of the next write unknown. One that does not answer in
///   half a second is closed. sqlx pings every time, a
///   round trip for each operation (`test_before_acquire`, here `false`).
/// - `acquire_timeout` 3 seconds instead of 30: a shop that gets no connection for three seconds is
///   [`Busy`](crate::Class::Busy) and should say so.
/// - `max_connections` stays at sqlx's 10; a good start is twice the database's cores.
///
/// Setters have the names and meanings of sqlx's; one that is not here is reached by
/// [`map`](Self::map).
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
    /// The defaults, as listed [above](Self#default).
    pub fn new() -> Self {
        Self {
            inner: PgPoolOptions::new()
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_secs(3)),
            before_acquire: None,
            ping_after: Duration::from_secs(5),
        }
    }

    /// Changes any setting of sqlx's. A `before_acquire` that is set here has no effect: use
    /// [`before_acquire`](Self::before_acquire).
    pub fn map(self, change: impl FnOnce(PgPoolOptions) -> PgPoolOptions) -> Self {
        Self {
            inner: change(self.inner),
            ..self
        }
    }

    /// How long a connection may be idle to be handed out without a ping.
    pub const fn ping_after(mut self, idle: Duration) -> Self {
        self.ping_after = idle;
        self
    }

    /// The most connections that the pool opens.
    pub fn max_connections(self, most: u32) -> Self {
        self.map(|inner| inner.max_connections(most))
    }

    /// How many connections the pool keeps open.
    pub fn min_connections(self, least: u32) -> Self {
        self.map(|inner| inner.min_connections(least))
    }

    /// How long an operation waits for a connection before it fails as
    /// [`Busy`](crate::Class::Busy).
    pub fn acquire_timeout(self, limit: Duration) -> Self {
        self.map(|inner| inner.acquire_timeout(limit))
    }

    /// How long a connection may be idle before it is closed.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.map(|inner| inner.idle_timeout(limit))
    }

    /// How old a connection may become.
    pub fn max_lifetime(self, limit: impl Into<Option<Duration>>) -> Self {
        self.map(|inner| inner.max_lifetime(limit))
    }

    /// Whether every connection is pinged before it is handed out.
    pub fn test_before_acquire(self, test: bool) -> Self {
        self.map(|inner| inner.test_before_acquire(test))
    }

    /// What is done with every new connection.
    pub fn after_connect<F>(self, hook: F) -> Self
    where
        for<'c> F: Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Checked<'c, ()>
            + Send
            + Sync
            + 'static,
    {
        self.map(|inner| inner.after_connect(hook))
    }

    /// What is done with every connection before it is handed out, after the ping of one that was idle;
    /// `false` closes it.
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

    /// What is done with every connection that comes back; `false` closes it.
    pub fn after_release<F>(self, hook: F) -> Self
    where
        for<'c> F: Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Checked<'c, bool>
            + Send
            + Sync
            + 'static,
    {
        self.map(|inner| inner.after_release(hook))
    }

    /// The settings so far, as sqlx has them; without the check of idle connections.
    #[must_use]
    pub const fn as_sqlx(&self) -> &PgPoolOptions {
        &self.inner
    }

    /// Opens a pool, and one connection.
    ///
    /// # Errors
    ///
    /// sqlx's, when the URL is none or no connection can be made.
    pub async fn connect(self, url: &str) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect(url).await
    }

    /// Opens a pool, and one connection.
    ///
    /// # Errors
    ///
    /// sqlx's, when no connection can be made.
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect_with(options).await
    }

    /// Opens a pool that connects when it is first used.
    ///
    /// # Errors
    ///
    /// sqlx's, when the URL is none.
    pub fn connect_lazy(self, url: &str) -> Result<PgPool, sqlx::Error> {
        PgPoolOptions::from(self).connect_lazy(url)
    }

    /// Opens a pool that connects when it is first used.
    #[must_use]
    pub fn connect_lazy_with(self, options: PgConnectOptions) -> PgPool {
        PgPoolOptions::from(self).connect_lazy_with(options)
    }
}

/// With the check of idle connections. A `before_acquire` that is set on the result replaces it.
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
