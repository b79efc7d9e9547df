//! Connections of runtimes that end.

use std::time::Duration;

use optilock::{postgres::transact, sqlx};
use tokio::time::timeout;

use super::POLICY;
use crate::support::{
    connect::{current_thread, pool_of, sleep_in_transaction},
    db::{Db, assert_idle, pool_options},
};

/// A future outlives its runtime and is dropped outside of any.
#[test]
fn a_connection_dropped_without_a_runtime_is_closed() {
    let observing = current_thread();
    let db = observing.block_on(Db::empty());
    for min_connections in [0, 1] {
        let runtime = current_thread();
        let options = db.database.options();
        let pool = runtime.block_on(async {
            pool_options(2)
                .min_connections(min_connections)
                .connect_with(options)
                .await
                .unwrap()
        });
        let mut work = Box::pin(async { sleep_in_transaction(&pool, &POLICY).await });
        runtime.block_on(async {
            assert!(timeout(Duration::from_millis(50), &mut work).await.is_err());
        });
        drop(work);
        observing.block_on(assert_idle(&db.pool));
        drop(runtime);
    }
}

/// An operation panics and its runtime unwinds while other operations wait. The process does not abort, and
/// every connection is closed.
#[test]
fn a_panic_leaves_no_connection_open() {
    let observing = current_thread();
    let db = observing.block_on(Db::empty());
    let unwound = std::thread::scope(|threads| {
        let unwinding = threads.spawn(|| {
            let runtime = current_thread();
            runtime.block_on(async {
                let pool = pool_of(&db, 8).await;
                for _ in 0..8 {
                    let pool = pool.clone();
                    tokio::spawn(async move { sleep_in_transaction(&pool, &POLICY).await });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                transact(&pool, &POLICY, async |tx| -> Result<(), sqlx::Error> {
                    sqlx::query("SELECT 1").execute(&mut **tx).await?;
                    panic!("on purpose")
                })
                .await
            })
        });
        unwinding.join()
    });
    assert!(unwound.is_err());
    observing.block_on(assert_idle(&db.pool));
}
