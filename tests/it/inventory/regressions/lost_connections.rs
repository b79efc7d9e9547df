//! "Not done" means that nothing is stored, if a connection is cut or a statement is cancelled.

use optilock::{RetryPolicy, inventory::PgInventory, sqlx};

use super::operations::{OPERATIONS, Targets};
use crate::support::{
    db::{Db, assert_idle, pool_options},
    proxy::{Cut, Proxy},
    stored::stored,
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// The connection is cut before or after each of an operation's messages.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_reports_not_done_after_a_cut_has_stored_nothing() {
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..5 {
                let db = Db::new().await;
                let targets = Targets::store(&PgInventory::new(db.pool.clone()), "").await;
                let proxy = Proxy::new(&db).await;
                let shop = PgInventory::new(proxy.pool(1).await).with_policy(ONCE);
                let before = stored(&db.pool).await;
                proxy.trap_after(after, cut.clone());
                let answer = targets.run(operation, &shop).await;
                if proxy.disarm() {
                    break;
                }
                assert_idle(&db.pool).await;
                if let Err(error) = answer
                    && !error.is_unknown()
                    && stored(&db.pool).await != before
                {
                    wrong.push(format!(
                        "{operation}, {cut:?} after {after} messages: {error}; {:?}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The second statement waits for order_lines, which another session has locked, and is cancelled by the role's
/// `statement_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_reports_not_done_after_a_cancelled_statement_has_stored_nothing() {
    let mut wrong = Vec::new();
    for operation in ["mark_paid", "mark_payment_failed"] {
        let db = Db::new().await;
        let targets = Targets::store(&PgInventory::new(db.pool.clone()), "").await;
        let pool = pool_options(2)
            .connect_with(
                db.database
                    .options()
                    .options([("statement_timeout", "300ms")]),
            )
            .await
            .unwrap();
        let shop = PgInventory::new(pool);
        let before = stored(&db.pool).await;
        let mut locking = db.pool.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE optilock.order_lines IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *locking)
            .await
            .unwrap();
        let answer = targets.run(operation, &shop).await;
        locking.rollback().await.unwrap();
        if let Err(error) = answer
            && !error.is_unknown()
            && stored(&db.pool).await != before
        {
            wrong.push(format!("{operation}: {error} {:?}", error.code()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
