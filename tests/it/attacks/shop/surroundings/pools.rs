//! 15: small pools, crowds, closed pools, hooks of the host's. 16: tables change. 17: other tables of the
//! same names.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::sqlx::{self, Executor};
use tokio::{task::JoinSet, time::timeout};

use super::{Answer, Bench, Cell, LIMIT, Subject};
use crate::support::db::{eventually, pool_options};

pub async fn of_one(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let own = bench.with_settings(1, &[]).await;
    for _ in 0..3 {
        own.run_well(subject, cell).await;
    }
    own.aftermath(cell).await;
    Cell::Held
}

/// Many callers of a pool of four, each with rows of its own.
pub async fn crowd(bench: &Bench, subject: &Subject, cell: &str, callers: usize) -> Cell {
    let own = Arc::new(bench.with_settings(4, &[]).await);
    let mut made = Vec::new();
    for _ in 0..callers {
        made.push(own.case(subject).await);
    }
    let mut work = JoinSet::new();
    for (case, _) in &made {
        let (own, subject, case, cell) =
            (Arc::clone(&own), *subject, case.clone(), cell.to_owned());
        work.spawn(async move { own.attempt(&subject, &case, &cell).await });
    }
    let answers = timeout(LIMIT, work.join_all()).await;
    let answers = answers.unwrap_or_else(|_| panic!("{cell}: the crowd does not end"));
    let done = answers.iter().filter(|answer| answer.is_done()).count();
    if subject.operation.is_cleanup() {
        // One call may clean up for all.
        assert!(done > 0, "{cell}: {answers:?}");
        own.attempt(subject, &made[0].0, cell).await;
    } else {
        assert_eq!(done, callers, "{cell}: {answers:?}");
    }
    for made in &made {
        own.compare(subject, made, Some(&Answer::Done), cell).await;
    }
    own.aftermath(cell).await;
    Cell::Held
}

pub async fn closed(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let own = bench.with_settings(2, &[]).await;
    own.run_well(subject, cell).await;
    timeout(LIMIT, own.pool.close())
        .await
        .unwrap_or_else(|_| panic!("{cell}: close() hangs"));
    let answer = own.run(subject, cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(optilock::Class::Permanent)
        && answer.text().contains("closed");
    assert!(diagnosed, "{cell}: {answer:?}");
    Cell::Held
}

/// Hooks of the host's, and a backend that ended while its connection was idle.
pub async fn hooks(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let asked = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&asked);
    let pool = pool_options(1)
        .ping_after(Duration::ZERO)
        .before_acquire(move |_, _| {
            hook.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .after_release(|_, _| Box::pin(async { Ok(true) }))
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let own = bench.through(pool);
    own.run_well(subject, cell).await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&own.pool)
        .await
        .unwrap();
    let others = &bench.db.pool;
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(others)
        .await
        .unwrap();
    eventually("the backend has ended", async || {
        let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        sqlx::query_scalar(gone)
            .bind(pid)
            .fetch_one(others)
            .await
            .unwrap()
    })
    .await;
    own.run_well(subject, cell).await;
    assert!(asked.load(SeqCst) > 1, "{cell}: the hook was not asked");
    own.aftermath(cell).await;
    Cell::Held
}

/// Columns, types and indexes change under connections that have prepared their statements.
pub async fn schema(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    const CHANGES: [&str; 3] = [
        "ALTER TABLE optilock.products ADD COLUMN extra int; ALTER TABLE optilock.orders ADD COLUMN extra int;
         ALTER TABLE optilock.order_lines ADD COLUMN extra int; ALTER TABLE optilock.holds ADD COLUMN extra int;
         ALTER TABLE optilock.movements ADD COLUMN extra int; ALTER TABLE optilock.returns ADD COLUMN extra int;
         ALTER TABLE optilock.reservations ADD COLUMN extra int",
        "ALTER TABLE optilock.products ALTER COLUMN name TYPE varchar(600);
         ALTER TABLE optilock.orders ALTER COLUMN reason TYPE varchar(600);
         ALTER TABLE optilock.movements ALTER COLUMN reason TYPE varchar(600);
         CREATE INDEX extra ON optilock.orders (customer)",
        "DROP INDEX optilock.extra; ALTER TABLE optilock.products DROP COLUMN extra, ALTER COLUMN name TYPE text;
         ALTER TABLE optilock.orders DROP COLUMN extra, ALTER COLUMN reason TYPE text;
         ALTER TABLE optilock.order_lines DROP COLUMN extra; ALTER TABLE optilock.holds DROP COLUMN extra;
         ALTER TABLE optilock.movements DROP COLUMN extra, ALTER COLUMN reason TYPE text;
         ALTER TABLE optilock.returns DROP COLUMN extra; ALTER TABLE optilock.reservations DROP COLUMN extra",
    ];
    let own = bench.with_settings(1, &[]).await;
    own.run_well(subject, cell).await;
    for change in CHANGES {
        sqlx::raw_sql(change).execute(&own.db.pool).await.unwrap();
        own.run_well(subject, &format!("{cell}, {change}")).await;
    }
    own.aftermath(cell).await;
    Cell::Held
}

/// Tables of the same names are first in the search path, and temporary ones before them.
pub async fn same_names(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    const TABLES: [&str; 8] = [
        "products",
        "orders",
        "order_lines",
        "holds",
        "movements",
        "reservations",
        "returns",
        "unfinished_sales",
    ];
    let each = |sql: &str| TABLES.map(|table| sql.replace("{}", table)).join(";");
    let like = "CREATE TABLE IF NOT EXISTS decoys.{} (LIKE optilock.{} INCLUDING ALL)";
    let decoys = format!("CREATE SCHEMA IF NOT EXISTS decoys; {}", each(like));
    bench
        .db
        .pool
        .execute(sqlx::AssertSqlSafe(decoys))
        .await
        .unwrap();
    let temporary = each("CREATE TEMPORARY TABLE {} (LIKE optilock.{} INCLUDING ALL)");
    let options = bench
        .db
        .database
        .options()
        .options([("search_path", "pg_temp,decoys,public")]);
    let pool = pool_options(1)
        .after_connect(move |conn, _| {
            let temporary = temporary.clone();
            Box::pin(async move { conn.execute(sqlx::AssertSqlSafe(temporary)).await.map(drop) })
        })
        .connect_with(options)
        .await
        .unwrap();
    let own = bench.through(pool);
    let hidden: bool = sqlx::query_scalar(
        "SELECT 'products'::regclass <> 'optilock.products'::regclass AND pg_my_temp_schema() <> 0",
    )
    .fetch_one(&own.pool)
    .await
    .unwrap();
    assert!(hidden, "{cell}: nothing of the same name is first");
    own.run_well(subject, cell).await;
    let schemas = ["pg_temp", "decoys"];
    let counts = schemas
        .map(|schema| each(&format!("(SELECT count(*) FROM {schema}.{{}})")).replace(';', "+"));
    let written = format!("SELECT {}", counts.join("+"));
    let written: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(written))
        .fetch_one(&own.pool)
        .await
        .unwrap();
    assert_eq!(written, 0, "{cell}: rows in tables of the same names");
    Cell::Held
}
