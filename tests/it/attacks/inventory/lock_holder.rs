//! Another session that locks rows or tables until the test releases them.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, AssertSqlSafe, Postgres, Transaction},
};
use tokio::time::timeout;

use super::{
    Answer, Harness, Variant,
    fixture::{Fixture, Setup},
};
use crate::support::{db::sessions_waiting, goods::cart};

pub const PRODUCTS: &str =
    "SELECT FROM optilock.products WHERE sku = ANY ($1) AND $2 IS NOT NULL FOR UPDATE";
pub const ORDER: &str = "SELECT FROM optilock.orders WHERE id = $2 AND $1 IS NOT NULL FOR UPDATE";
pub const HOLDS: &str =
    "SELECT FROM optilock.holds WHERE sku = ANY ($1) AND $2 IS NOT NULL FOR UPDATE";
pub const ENTRY: &str =
    "SELECT FROM optilock.outbox WHERE order_id = $2 AND $1 IS NOT NULL FOR UPDATE";
/// Locks every table, for readers too.
const TABLES: &str =
    "LOCK TABLE optilock.products, optilock.orders, optilock.order_lines, optilock.holds,
    optilock.movements, optilock.reservations, optilock.returns, optilock.outbox IN ACCESS EXCLUSIVE MODE";

pub struct LockHolder(Transaction<'static, Postgres>);

impl LockHolder {
    /// Runs statements that lock the fixture's products (`$1`) and its order (`$2`). Returns `None` if no row matches.
    pub async fn of(harness: &Harness, fixture: &Fixture, statements: &[&str]) -> Option<Self> {
        let mut tx = harness.db.pool.begin().await.unwrap();
        let mut rows = 0;
        for statement in statements {
            let held = sqlx::query(AssertSqlSafe(*statement))
                .bind(fixture.skus())
                .bind(fixture.order.uuid())
                .execute(&mut *tx);
            rows += held.await.unwrap().rows_affected();
        }
        if rows == 0 {
            tx.rollback().await.unwrap();
            return None;
        }
        Some(Self(tx))
    }

    /// Locks every table.
    pub async fn of_tables(harness: &Harness) -> Self {
        let mut tx = harness.db.pool.begin().await.unwrap();
        sqlx::raw_sql(TABLES).execute(&mut *tx).await.unwrap();
        Self(tx)
    }

    /// Commits what the session wrote and releases its locks.
    pub async fn release(self) {
        self.0.commit().await.unwrap();
    }
}

/// How an operation ended behind a lock.
pub enum LockOutcome {
    /// It answered without waiting.
    NotBlocked(Answer),
    /// It waited and gave up before the release.
    GaveUp(Answer),
    /// It waited until the release.
    Waited(Answer),
}

impl LockOutcome {
    pub fn answer(&self) -> &Answer {
        let (Self::NotBlocked(answer) | Self::GaveUp(answer) | Self::Waited(answer)) = self;
        answer
    }
}

/// Runs the operation. Once it waits for a lock, runs `meanwhile` and then releases the lock.
pub async fn run_behind_lock(
    harness: &Harness,
    variant: &Variant,
    fixture: &Fixture,
    cell: &str,
    holder: LockHolder,
    meanwhile: impl Future<Output = ()>,
) -> LockOutcome {
    let mut work: Pin<&mut _> = pin!(harness.attempt(variant, fixture, cell));
    let seen = async { while sessions_waiting(&harness.db.pool).await == 0 {} };
    let not_blocked = tokio::select! {
        biased;
        answer = &mut work => Some(answer),
        () = seen => None,
    };
    if let Some(answer) = not_blocked {
        holder.release().await;
        return LockOutcome::NotBlocked(answer);
    }
    let gave_up = tokio::select! {
        answer = &mut work => Some(answer),
        () = meanwhile => None,
    };
    holder.release().await;
    match gave_up {
        Some(answer) => LockOutcome::GaveUp(answer),
        None => LockOutcome::Waited(work.await),
    }
}

/// Asserts that operations on other rows keep their usual latency.
pub async fn assert_other_rows_work(harness: &Harness, cell: &str) {
    /// Far above a round trip on two cores that many tests share, and far below what a lock holder takes.
    const USUAL: Duration = Duration::from_secs(1);
    let pool = &harness.db.pool;
    let shop = PgInventory::new(pool.clone());
    let work = async {
        let other = Fixture::new(Setup::Stocked);
        other.store(pool).await;
        let pot = other.pot();
        let order = shop.checkout(cart(&[(pot.as_str(), 1)])).await.unwrap();
        shop.mark_paid(order.id).await.unwrap();
        shop.product(&other.mug()).await.unwrap();
    };
    let usual = timeout(USUAL, work).await;
    assert!(
        usual.is_ok(),
        "{cell}: an operation on other rows waits too"
    );
}
