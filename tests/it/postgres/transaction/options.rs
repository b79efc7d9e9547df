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
    db::{Db, Default, pool_options},
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

/// Citus has the rows on other servers, which know of a limit only by a setting of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_reaches_the_servers_of_a_cluster() {
    let db = with_counter().await;
    let setting = "SELECT current_setting('citus.propagate_set_commands', true)";
    let limited = TransactOptions::new().with_lock_timeout(Duration::from_secs(1));
    let timed = TransactOptions::new().with_statement_timeout(Duration::from_secs(1));
    for (is_cluster, options, expected) in [
        (true, &limited, Some("local")),
        (true, &timed, Some("local")),
        (true, &TransactOptions::new(), None),
        (false, &limited, None),
    ] {
        let version = [("citus.version", "13.2")];
        let settings = if is_cluster { &version[..] } else { &[] };
        let connect = db.database.options().options(settings.iter().copied());
        let pool = pool_options(1).connect_with(connect).await.unwrap();
        let inside: Option<String> =
            transact_with(&pool, &RetryPolicy::new(), options, async |tx| {
                sqlx::query_scalar(setting).fetch_one(&mut **tx).await
            })
            .await
            .map_err(|error: optilock::RetryError<sqlx::Error>| error.error)
            .unwrap();
        assert_eq!(inside.as_deref(), expected, "{options:?}");
        let outside: Option<String> = sqlx::query_scalar(setting).fetch_one(&pool).await.unwrap();
        assert_ne!(outside.as_deref(), Some("local"), "{options:?}");
        pool.close().await;
    }
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
