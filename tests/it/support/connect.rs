//! Pools and runtimes that belong to one test.

use optilock::sqlx::PgPool;
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
