//! 12: the server refuses the login, allows only reads, or accepts no further connection.

use std::time::{Duration, Instant};

use optilock::{Class, sqlx::PgPool};

use super::{Cell, Harness, Variant, passwords};
use crate::support::{
    db::{pool_options, with_role},
    triggers::run,
};

pub async fn wrong_password(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let Some(options) = passwords::wrong(&harness.db).await else {
        return passwords::NOT_ASKED;
    };
    let pool = pool_options(2).connect_lazy_with(options);
    expect_refused_login(harness, variant, cell, pool, "password").await
}

pub async fn no_role(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let options = harness.db.database.options().username("no such role");
    let pool = pool_options(2).connect_lazy_with(options);
    expect_refused_login(harness, variant, cell, pool, "role").await
}

pub async fn no_database(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let options = harness.db.database.options().database("no such database");
    let pool = pool_options(2).connect_lazy_with(options);
    expect_refused_login(harness, variant, cell, pool, "no such database").await
}

async fn expect_refused_login(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    pool: PgPool,
    reason: &str,
) -> Cell {
    let own = harness.through(pool);
    let start = Instant::now();
    let answer = own.run(variant, cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(Class::Permanent)
        && answer.text().contains(reason);
    assert!(diagnosed, "{cell}: {answer:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{cell}: late");
    Cell::Passed
}

/// As on a replica: a read works; a write is refused and its connection is closed.
pub async fn read_only(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let setting = [("default_transaction_read_only", "on")];
    let own = harness.with_settings(2, &setting).await;
    if !variant.operation.writes() {
        own.expect_done(variant, cell).await;
        return Cell::Passed;
    }
    let answer = own.run(variant, cell).await;
    let diagnosed = answer.is_refused("busy") && matches!(answer.class(), Some(Class::Busy { .. }));
    assert!(diagnosed, "{cell}: {answer:?}");
    // Of several operations, those that follow find nothing to write.
    let closed = variant.operation.is_several() || own.pool.num_idle() == 0;
    assert!(closed, "{cell}: the connection stays");
    Cell::Passed
}

/// The server accepts no further connection.
pub async fn full(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    with_role(&harness.db.pool, async |role| {
        let limit = format!("ALTER ROLE {role} CONNECTION LIMIT 0");
        run(&harness.db.pool, limit).await;
        let options = harness.db.database.options();
        let options = options.username(role).password("secret");
        let pool = pool_options(2)
            .acquire_timeout(Duration::from_millis(20))
            .connect_lazy_with(options);
        let answer = harness.through(pool).run(variant, cell).await;
        let diagnosed =
            answer.is_refused("busy") && matches!(answer.class(), Some(Class::Busy { .. }));
        assert!(diagnosed, "{cell}: {answer:?}");
    })
    .await;
    Cell::Passed
}
