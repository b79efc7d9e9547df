//! Rows are locked, swallowed, refused or hidden, and tables are altered.

use std::time::Duration;

use optilock::sqlx::{self, Connection};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;

use crate::{
    BoxError,
    goods::PRODUCTS,
    stage::{self, ROLE, Stage},
};

/// The tables of an inventory that its operations write.
const TABLES: [&str; 8] = [
    "products",
    "orders",
    "order_lines",
    "reservations",
    "holds",
    "movements",
    "returns",
    "outbox",
];

/// Another session holds a product's row for a while.
pub(super) async fn lock(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let name = *PRODUCTS.choose(random).expect("not empty");
    let time = Duration::from_millis(random.random_range(50..2_000));
    let mut conn = stage.connect().await?;
    let mut tx = conn.begin().await?;
    let locked = sqlx::query("SELECT FROM optilock.products WHERE sku = $1 FOR UPDATE")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    sleep(time).await;
    tx.rollback().await?;
    Ok(locked.rows_affected())
}

/// A trigger swallows every write of one kind, or leaves the row as it was, or refuses one row in four.
pub(super) async fn trigger(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let table = *TABLES.choose(random).expect("not empty");
    let event = *["INSERT", "UPDATE"].choose(random).expect("not empty");
    let body = match random.random_range(0..3) {
        0 => "RETURN NULL",
        1 if event == "UPDATE" => "RETURN OLD",
        1 => "RETURN NULL",
        _ => {
            "IF random() < 0.25 THEN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END IF; RETURN NEW"
        }
    };
    let time = Duration::from_millis(random.random_range(50..400));
    let mut conn = stage.connect().await?;
    let create = format!(
        "CREATE OR REPLACE FUNCTION soak.tamper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('soak.acted'); {body}; END $$;
        CREATE OR REPLACE TRIGGER soak BEFORE {event} ON optilock.{table}
            FOR EACH ROW EXECUTE FUNCTION soak.tamper()"
    );
    let count = "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM soak.acted";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut conn).await?;
    stage::run(&mut conn, create).await?;
    sleep(time).await;
    let drop = format!("DROP TRIGGER soak ON optilock.{table}");
    undo(stage, &drop).await?;
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut conn).await?;
    Ok((after - before).unsigned_abs())
}

/// Policies let the clients read a table, and write none of its rows.
pub(super) async fn policy(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let table = *TABLES.choose(random).expect("not empty");
    let time = Duration::from_millis(random.random_range(50..400));
    stage
        .run(format!(
            "CREATE POLICY soak ON optilock.{table} FOR SELECT TO {ROLE} USING (true);
            ALTER TABLE optilock.{table} ENABLE ROW LEVEL SECURITY"
        ))
        .await?;
    sleep(time).await;
    let drop = format!(
        "ALTER TABLE optilock.{table} DISABLE ROW LEVEL SECURITY; DROP POLICY soak ON optilock.{table}"
    );
    undo(stage, &drop).await?;
    Ok(1)
}

/// DDL under running statements: plans and row types that the clients know change.
pub(super) async fn schema(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let table = *TABLES.choose(random).expect("not empty");
    let (add, drop) = match random.random_range(0..3) {
        0 => (
            format!("ALTER TABLE optilock.{table} ADD COLUMN soak integer DEFAULT 7"),
            format!("ALTER TABLE optilock.{table} DROP COLUMN soak"),
        ),
        1 => (
            format!("CREATE INDEX soak_{table} ON optilock.{table} (tableoid)"),
            format!("DROP INDEX optilock.soak_{table}"),
        ),
        _ => (
            format!("ANALYZE optilock.{table}"),
            format!("VACUUM optilock.{table}"),
        ),
    };
    stage.run(add).await?;
    sleep(Duration::from_millis(random.random_range(50..1_000))).await;
    undo(stage, &drop).await?;
    Ok(1)
}

/// Tries until it succeeds: locks of the clients may delay it, and the server may be down.
async fn undo(stage: &Stage, statements: &str) -> Result<(), BoxError> {
    const TRIES: u32 = 100;
    let mut tried = Ok(());
    for _ in 0..TRIES {
        tried = stage.run(statements).await;
        if tried.is_ok() {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    tried
}
