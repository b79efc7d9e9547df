//! Another session that holds rows or tables, until the test lets go.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, AssertSqlSafe, PgPool, Postgres, Transaction},
};
use tokio::time::timeout;

use super::{
    Answer, Bench, Subject,
    case::{Case, Setup},
};
use crate::support::goods::cart;

pub const PRODUCTS: &str =
    "SELECT FROM optilock.products WHERE sku = ANY ($1) AND $2 IS NOT NULL FOR UPDATE";
pub const ORDER: &str = "SELECT FROM optilock.orders WHERE id = $2 AND $1 IS NOT NULL FOR UPDATE";
pub const HOLDS: &str =
    "SELECT FROM optilock.holds WHERE sku = ANY ($1) AND $2 IS NOT NULL FOR UPDATE";
/// Every table, against readers too.
const TABLES: &str =
    "LOCK TABLE optilock.products, optilock.orders, optilock.order_lines, optilock.holds,
    optilock.movements, optilock.reservations, optilock.returns IN ACCESS EXCLUSIVE MODE";

pub struct Holder(Transaction<'static, Postgres>);

impl Holder {
    /// `None` without such rows. `$1` the case's products, `$2` its order.
    pub async fn of(bench: &Bench, case: &Case, statements: &[&str]) -> Option<Self> {
        let mut tx = bench.db.pool.begin().await.unwrap();
        let mut rows = 0;
        for statement in statements {
            let held = sqlx::query(AssertSqlSafe(*statement))
                .bind(case.skus())
                .bind(case.order.uuid())
                .execute(&mut *tx);
            rows += held.await.unwrap().rows_affected();
        }
        if rows == 0 {
            tx.rollback().await.unwrap();
            return None;
        }
        Some(Self(tx))
    }

    pub async fn of_tables(bench: &Bench) -> Self {
        let mut tx = bench.db.pool.begin().await.unwrap();
        sqlx::raw_sql(TABLES).execute(&mut *tx).await.unwrap();
        Self(tx)
    }

    /// Lets go, and what it wrote is there.
    pub async fn let_go(self) {
        self.0.commit().await.unwrap();
    }
}

/// How an operation came out behind a holder.
pub enum Met {
    /// It answered and never waited.
    Passed(Answer),
    /// It waited, and gave up before the holder let go.
    GaveUp(Answer),
    /// It waited until the holder let go.
    Waited(Answer),
}

impl Met {
    pub fn answer(&self) -> &Answer {
        let (Self::Passed(answer) | Self::GaveUp(answer) | Self::Waited(answer)) = self;
        answer
    }
}

/// Runs the operation; once it waits for a lock, `meanwhile`; then the holder lets go.
pub async fn behind(
    bench: &Bench,
    subject: &Subject,
    case: &Case,
    cell: &str,
    holder: Holder,
    meanwhile: impl Future<Output = ()>,
) -> Met {
    let mut work: Pin<&mut _> = pin!(bench.attempt(subject, case, cell));
    let seen = async { while waiting(&bench.db.pool).await == 0 {} };
    let passed = tokio::select! {
        biased;
        answer = &mut work => Some(answer),
        () = seen => None,
    };
    if let Some(answer) = passed {
        holder.let_go().await;
        return Met::Passed(answer);
    }
    let gave_up = tokio::select! {
        answer = &mut work => Some(answer),
        () = meanwhile => None,
    };
    holder.let_go().await;
    match gave_up {
        Some(answer) => Met::GaveUp(answer),
        None => Met::Waited(work.await),
    }
}

/// Sessions that wait for a lock.
pub async fn waiting(pool: &PgPool) -> i64 {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(WAITING).fetch_one(pool).await.unwrap()
}

/// Operations on other rows keep their usual latency.
pub async fn neighbours(bench: &Bench, cell: &str) {
    /// Far above a round trip, on two cores that many tests share; far below what a holder takes.
    const USUAL: Duration = Duration::from_secs(1);
    let pool = &bench.db.pool;
    let shop = PgInventory::new(pool.clone());
    let work = async {
        let other = Case::new(Setup::Stocked);
        other.store(pool).await;
        let pot = other.pot();
        let order = shop.checkout(cart(&[(pot.as_str(), 1)])).await.unwrap();
        shop.mark_paid(order.id).await.unwrap();
        shop.product(&other.mug()).await.unwrap();
    };
    let usual = timeout(USUAL, work).await;
    assert!(usual.is_ok(), "{cell}: a neighbour waits too");
}
