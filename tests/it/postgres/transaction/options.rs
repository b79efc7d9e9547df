//! The options of a transaction and the settings of its session.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    postgres::{Isolation, TransactOptions, transact, transact_with},
    sqlx,
};

use super::counter::with_counter;
use crate::support::{
    connect::pool_of,
    db::{Db, Default},
};

#[tokio::test(flavor = "multi_thread")]
async fn options_apply_to_one_transaction_only() {
    let db = with_counter().await;
    let pool = pool_of(&db, 1).await;
    let options = TransactOptions::new()
        .with_isolation(Isolation::Serializable)
        .with_read_only(true)
        .with_lock_timeout(Duration::from_millis(1_234))
        .with_statement_timeout(Duration::from_millis(2_345))
        .with_idle_timeout(Duration::from_millis(3_456));
    let settings = "SELECT concat_ws(' ', current_setting('transaction_isolation'),
        current_setting('transaction_read_only'), current_setting('lock_timeout'),
        current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'))";
    let inside: String = transact_with(&pool, &RetryPolicy::new(), &options, async |tx| {
        sqlx::query_scalar(settings).fetch_one(&mut **tx).await
    })
    .await
    .map_err(|error: optilock::RetryError<sqlx::Error>| error.error)
    .unwrap();
    assert_eq!(inside, "serializable on 1234ms 2345ms 3456ms");
    let outside: String = sqlx::query_scalar(settings).fetch_one(&pool).await.unwrap();
    assert_eq!(outside, "read committed off 0 0 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transaction_has_the_isolation_level_of_its_session() {
    let db = Db::with(Default::Serializable, 1).await;
    let level: String = transact(&db.pool, &RetryPolicy::new(), async |tx| {
        sqlx::query_scalar("SHOW transaction_isolation")
            .fetch_one(&mut **tx)
            .await
    })
    .await
    .map_err(|error: optilock::RetryError<sqlx::Error>| error.error)
    .unwrap();
    assert_eq!(level, "serializable");
}
