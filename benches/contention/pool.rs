//! The pools of connections.

use std::time::Duration;

use optilock::{
    postgres::pool_options,
    sqlx::{PgPool, postgres::PgConnectOptions},
};

/// Connections of all pools of a measurement together: with one for each buyer, a server of 2 cores would spend
/// its time on context switches.
pub(crate) const CONNECTIONS: u32 = 32;

/// Opens a pool whose callers wait for a connection for as long as the measurement needs.
pub(crate) async fn open(options: PgConnectOptions, connections: u32) -> PgPool {
    let pool = pool_options()
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(Duration::from_secs(60));
    let pool = pool.connect_with(options).await;
    pool.expect("the database accepts connections")
}
