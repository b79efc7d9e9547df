//! 15: pgbouncer in transaction mode, with fewer connections than clients.

use super::{Harness, matrix::Harness as _, pools};
use crate::support::pgbouncer::Pgbouncer;

/// 64 callers of each operation share 4 connections of the server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer 1.21 or newer"]
async fn every_operation_through_pgbouncer() {
    let direct = Harness::new().await;
    let pooler = Pgbouncer::start(&direct.db.database.options(), 4).await;
    let harness = direct.through(pooler.pool(32).await);
    for operation in Harness::variants() {
        pools::crowd(&harness, &operation, operation.name, 64).await;
    }
}
