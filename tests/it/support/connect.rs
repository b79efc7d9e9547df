//! Pools and runtimes that belong to one test.

use optilock::{
    RetryError, RetryPolicy,
    postgres::transact,
    sqlx::{self, PgPool},
};
use tokio::runtime::{Builder, Runtime};

use super::db::{Db, pool_options};

/// Opens another pool on the test's database, with the session defaults of the server.
pub async fn pool_of(db: &Db, connections: u32) -> PgPool {
    pool_options(connections)
        .connect_with(db.database.options())
        .await
        .expect("a connection to the test's database")
}

/// Opens every connection of a pool of `connections`.
pub async fn open_all(pool: &PgPool, connections: usize) {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(pool.acquire().await.expect("a connection of the pool"));
    }
}

/// Returns a runtime that is driven only inside of `block_on`.
pub fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Runs a transaction that takes at least 200 ms.
pub async fn sleep_in_transaction(
    pool: &PgPool,
    policy: &RetryPolicy,
) -> Result<(), RetryError<sqlx::Error>> {
    transact(pool, policy, async |tx| {
        sqlx::query("SELECT pg_sleep(0.2)")
            .execute(&mut **tx)
            .await
            .map(drop)
    })
    .await
}
