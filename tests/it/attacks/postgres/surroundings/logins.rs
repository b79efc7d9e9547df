//! Servers that accept no connection, or only reads.

use std::time::{Duration, Instant};

use optilock::{Class, sqlx::postgres::PgConnectOptions};

use super::{Cell, Effect, Harness, Operation};
use crate::{
    attacks::passwords,
    support::{
        db::{pool_options, with_role},
        triggers::run,
    },
};

pub async fn wrong_password(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let Some(options) = passwords::wrong(&harness.db).await else {
        return passwords::NOT_ASKED;
    };
    expect_refused_login(harness, operation, cell, options, "password").await
}

pub async fn no_role(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let options = harness.db.database.options().username("no such role");
    expect_refused_login(harness, operation, cell, options, "role").await
}

pub async fn no_database(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let options = harness.db.database.options().database("no such database");
    expect_refused_login(harness, operation, cell, options, "no such database").await
}

async fn expect_refused_login(
    harness: &Harness,
    operation: &Operation,
    cell: &str,
    options: PgConnectOptions,
    reason: &str,
) -> Cell {
    let own = harness.through(pool_options(2).connect_lazy_with(options));
    let start = Instant::now();
    let answer = own.run(operation, cell).await;
    let diagnosed = answer.is_refused(Class::Permanent) && answer.text().contains(reason);
    assert!(diagnosed, "{cell}: {answer:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{cell}: late");
    Cell::Passed
}

/// As on a replica: a read works; a write is refused and its connection is closed.
pub async fn read_only(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let options = harness.db.database.options();
    let options = options.options([("default_transaction_read_only", "on")]);
    let pool = pool_options(2).connect_with(options).await.unwrap();
    let harness = harness.through(pool);
    let reads = operation.effect == Effect::Nothing
        && !matches!(operation.name, "lock_in" | "assert_current_in");
    if reads {
        harness.expect_done(operation, cell).await;
    } else {
        let answer = harness.run(operation, cell).await;
        assert!(
            answer.is_refused(Class::Busy { retry_after: None }),
            "{cell}: {answer:?}"
        );
        assert_eq!(harness.pool.num_idle(), 0, "{cell}: the connection stays");
    }
    Cell::Passed
}

/// The server accepts no further connection.
pub async fn full(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let direct = &harness.db.pool;
    with_role(direct, async |role| {
        run(direct, format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
        let options = harness.db.database.options();
        let pool = pool_options(2)
            .acquire_timeout(Duration::from_millis(20))
            .connect_lazy_with(options.username(role).password("secret"));
        let answer = harness.through(pool).run(operation, cell).await;
        assert!(
            answer.is_refused(Class::Busy { retry_after: None }),
            "{cell}: {answer:?}"
        );
    })
    .await;
    Cell::Passed
}
