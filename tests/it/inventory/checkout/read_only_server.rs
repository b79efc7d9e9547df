//! A server that refuses writes.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    inventory::{Inventory, PgInventory},
    sqlx,
};

use crate::{
    support::db::{Db, assert_balanced, pool_options},
    support::goods::{add, cart},
    support::strategies::STRATEGIES,
};

/// After a failover, old connections lead to a server that only reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_read_only_server_is_closed() {
    let db = Db::new().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    let options = db
        .database
        .options()
        .options([("default_transaction_read_only", "on")]);
    let pool = pool_options(1).connect_with(options).await.unwrap();
    let policy = RetryPolicy::new()
        .with_max_attempts(2)
        .with_max_delay(Duration::ZERO);
    for strategy in STRATEGIES {
        let shop = PgInventory::new(pool.clone())
            .with_strategy(strategy)
            .with_policy(policy.clone());
        let backend = "SELECT pg_backend_pid()";
        let before: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        let busy = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        assert!(
            busy.is_busy() && busy.http_status() == 503,
            "{strategy:?}: {busy:?}"
        );
        let after: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        assert_ne!(before, after, "{strategy:?}: the connection was reused");
    }
    assert_balanced(&db.pool).await;
}
