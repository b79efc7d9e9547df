//! How a connection returns to its pool: within a time limit, whatever happened to the network, the caller
//! or the runtime.

mod callers;
mod hooks;
mod runtime;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use optilock::{RetryPolicy, postgres::PoolOptions};

use crate::support::db::pool_options;

const POLICY: RetryPolicy = RetryPolicy::new();

/// Returns options of a pool that counts the connections it opens.
fn counting(opened: &Arc<AtomicU32>) -> PoolOptions {
    let opened = Arc::clone(opened);
    pool_options(4).after_connect(move |_, _| {
        opened.fetch_add(1, SeqCst);
        Box::pin(async { Ok(()) })
    })
}
