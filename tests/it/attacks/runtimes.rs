//! Runtimes besides the test's own.

use optilock::sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::runtime::Runtime;

use crate::support::{connect::current_thread, db::pool_options};

/// Runs `work` on another thread, with a runtime and a pool of its own.
pub fn on_another_runtime<T: Send>(
    options: PgConnectOptions,
    work: impl FnOnce(&Runtime, PgPool) -> T + Send,
) -> std::thread::Result<T> {
    tokio::task::block_in_place(|| {
        std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                let runtime = current_thread();
                let pool = runtime
                    .block_on(pool_options(4).connect_with(options))
                    .unwrap();
                work(&runtime, pool)
            });
            thread.join()
        })
    })
}
