//! Pools that the attacks of both floors use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::sqlx::{PgPool, postgres::PgConnectOptions};

use crate::support::db::{backend_pid, pool_options, terminate_backend};

/// Connects a pool of one connection with hooks of a host. Returns the number of calls of its acquire hook too.
pub async fn with_hooks(options: PgConnectOptions) -> (PgPool, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&calls);
    let pool = pool_options(1)
        .ping_after(Duration::ZERO)
        .before_acquire(move |_, _| {
            hook.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .after_release(|_, _| Box::pin(async { Ok(true) }))
        .connect_with(options)
        .await
        .unwrap();
    (pool, calls)
}

/// Terminates the backend of an idle connection of `pool`; `direct` is another pool of the same database.
pub async fn terminate_idle_backend(pool: &PgPool, direct: &PgPool) {
    let pid = {
        let mut conn = pool.acquire().await.unwrap();
        backend_pid(&mut conn).await.unwrap()
    };
    terminate_backend(direct, pid).await;
}
