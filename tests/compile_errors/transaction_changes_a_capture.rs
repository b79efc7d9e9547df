//! An operation of a transaction that changes a captured variable.

use optilock::{
    RetryPolicy,
    postgres::transact,
    sqlx::{self, PgPool},
};

async fn count(pool: &PgPool) {
    let mut attempts = 0;
    let counted = transact(pool, &RetryPolicy::new(), async |tx| {
        attempts += 1;
        sqlx::query("SELECT 1").execute(&mut **tx).await
    });
    let _ = (counted.await, attempts);
}

fn main() {}
