//! Transactions on PostgreSQL that survive what really happens to them.
//!
//! [`transact`] owns `BEGIN` and `COMMIT`, retries whole attempts, and knows what an error means in
//! the phase in which it came: a connection lost before `COMMIT` took nothing with it, one lost at
//! `COMMIT` leaves the outcome unknown. sqlx's own errors get a [`Class`](crate::Class) by
//! [`Classify`](crate::Classify).
//!
//! ```no_run
//! use optilock::{RetryPolicy, postgres::transact};
//!
//! # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let rows = transact(&pool, &RetryPolicy::new(), async |conn, _attempt| {
//!     sqlx::query("UPDATE seats SET taken = true WHERE id = $1 AND NOT taken")
//!         .bind(7)
//!         .execute(&mut *conn)
//!         .await
//! })
//! .await?;
//! # Ok(()) }
//! ```

mod classify;
mod failed;
mod options;
mod pool;
mod transact;
mod unit;
mod version;

pub(crate) use classify::{
    Phase, class_in, is_division_by_zero, is_forbidden, is_out_of_range, is_read_only,
    is_unique_violation,
};
pub(crate) use failed::Failed;
pub use options::{Isolation, TransactOptions};
pub use pool::pool_options;
pub use transact::{transact, transact_with};
pub(crate) use unit::{READ_COMMITTED, attempt};
