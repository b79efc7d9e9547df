use std::time::Duration;

use sqlx::{Connection, postgres::PgPoolOptions};

/// A connection that nobody has used for so long is pinged before it is handed out.
const IDLE: Duration = Duration::from_secs(5);

/// Pool settings that suit short transactions: start from these, then set your own.
///
/// - `test_before_acquire(false)`: sqlx pings every connection before it hands it out, a round trip
///   for every operation. Here those are pinged that were idle for 5 seconds: one that died with a
///   restart of the server would leave the outcome of the next write unknown.
/// - `acquire_timeout(3 s)` instead of 30 s: a shop that cannot get a connection for three seconds
///   is [`Busy`](crate::Class::Busy) and should say so.
///
/// `max_connections` stays at sqlx's 10; a good start is twice the database's cores.
///
/// ```
/// let pool = optilock::postgres::pool_options().max_connections(16);
/// assert_eq!(pool.get_acquire_timeout().as_secs(), 3);
/// assert!(!pool.get_test_before_acquire());
/// ```
#[must_use]
pub fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new()
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(3))
        .before_acquire(|conn, connection| {
            Box::pin(async move {
                if connection.idle_for >= IDLE {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
}
