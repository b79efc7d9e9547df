//! Connections lost in each phase of a transaction.

use optilock::{Class, Classify, RetryPolicy, StopReason, postgres::transact, sqlx};

use super::counter::{add_one, counter, with_counter};
use crate::support::{
    connect::pool_of,
    db::assert_idle,
    proxy::{Cut, Proxy},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_judged_by_its_phase() {
    let db = with_counter().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    let run =
        async |policy: &RetryPolicy| transact(&pool, policy, async |tx| add_one(tx).await).await;
    let once = RetryPolicy::new().with_max_attempts(1);

    for needle in [b"BEGIN".as_slice(), b"sqlx_s_"] {
        // Before COMMIT nothing took effect, and a retry writes once.
        let before = counter(&db.pool).await;
        proxy.trap(needle, Cut::Before);
        run(&RetryPolicy::new()).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(counter(&db.pool).await, before + 1);
        proxy.trap(needle, Cut::Reply);
        run(&RetryPolicy::new()).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(counter(&db.pool).await, before + 2);
        proxy.trap(needle, Cut::Reply);
        let busy = run(&once).await.unwrap_err();
        assert_eq!(
            (busy.reason, busy.class()),
            (StopReason::Attempts, Class::Permanent),
            "nothing took effect"
        );
        assert_eq!(counter(&db.pool).await, before + 2);
    }
    // At COMMIT the outcome is unknown, whether or not the transaction was committed.
    for (cut, committed) in [(Cut::Before, 0), (Cut::Reply, 1)] {
        let before = counter(&db.pool).await;
        proxy.trap(b"COMMIT\0", cut);
        let unknown = run(&RetryPolicy::new()).await.unwrap_err();
        assert!(!proxy.armed());
        assert_eq!(
            (unknown.reason, unknown.class()),
            (StopReason::Unknown, Class::Unknown)
        );
        assert_eq!(counter(&db.pool).await, before + committed);
    }
    assert_idle(&db.pool).await;
}

/// A terminated backend reports FATAL. Before COMMIT nothing took effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_terminated_before_commit_is_retried() {
    let db = with_counter().await;
    let pool = pool_of(&db, 1).await;
    let attempts = transact(&pool, &RetryPolicy::new(), async |tx| {
        add_one(tx).await?;
        if tx.attempt().number() == 1 {
            let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&mut **tx)
                .await?;
            sqlx::query("SELECT pg_terminate_backend($1)")
                .bind(pid)
                .execute(&db.pool)
                .await?;
            add_one(tx).await?;
        }
        Ok::<_, sqlx::Error>(tx.attempt().number())
    })
    .await
    .unwrap();
    assert_eq!((attempts, counter(&db.pool).await), (2, 1));
}
