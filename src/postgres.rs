//! Versioned rows of any table, and transactions that handle lost connections, cancelled futures and
//! swallowed errors.
//!
//! [`versioned_row!`](crate::versioned_row) describes the table of a struct. [`PgRepository`] reads and
//! writes its rows: a write at a version that is no longer current is refused. [`transact`] owns `BEGIN`
//! and `COMMIT`, retries whole attempts, and judges an error by its phase: if the connection is lost before
//! `COMMIT`, nothing was stored; if it is lost at `COMMIT`, the outcome is unknown. Errors of sqlx have a
//! [`Class`](crate::Class) by [`Classify`](crate::Classify). [`transact_once`] makes a transaction take effect
//! once for an idempotency key, also when its answer is lost.
//!
//! ```no_run
//! use optilock::{RetryPolicy, Version, postgres::{Error, PgRepository, transact}, sqlx, versioned_row};
//!
//! #[derive(Debug, sqlx::FromRow)]
//! struct Seat { id: i64, taken: bool, version: Version }
//!
//! versioned_row! { Seat in "theatre.seats" {
//!     entity: "seat", id: id: i64, version: version, columns: [taken],
//! } }
//!
//! # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let seats = PgRepository::<Seat>::new(pool.clone());
//! let taken = transact(&pool, &RetryPolicy::new(), async |tx| {
//!     let mut seat = seats.get_in(tx, &7).await?;
//!     if seat.taken {
//!         return Ok(false);
//!     }
//!     seat.taken = true;
//!     seats.update_in(tx, &seat).await?; // a conflict if another writer was faster: tried again
//!     sqlx::query("INSERT INTO theatre.tickets (seat) VALUES (7)").execute(&mut **tx).await?;
//!     Ok::<_, Error>(true)
//! })
//! .await?;
//! # let _ = taken;
//! # Ok(()) }
//! ```
//!
//! The [guide](crate::guide::rows) explains which operation to use.

mod assertion;
mod bind;
mod classify;
mod error;
mod hot_rows;
mod pool;
mod repository;
#[cfg(feature = "axum")]
mod response;
mod row;
mod sql;
mod transaction;
mod version;

#[cfg(feature = "inventory")]
pub(crate) use assertion::suppressed_table;
pub(crate) use classify::{
    Phase, advice, class_in, class_of_busy, class_of_unknown, is_out_of_range, is_unique_violation,
};
#[cfg(feature = "inventory")]
pub(crate) use classify::{
    is_aborted, is_cancelled, is_created_elsewhere, is_forbidden, is_ledger_key, is_lock_timeout,
    is_of_statement, is_read_only, is_refused_row,
};
#[cfg(any(feature = "inventory", feature = "axum"))]
pub(crate) use error::Repr;
pub use error::{Error, ErrorKind};
pub use pool::{PoolOptions, pool_options};
pub use repository::{PgRepository, bulk::Bulk, outcome::WriteOutcome};
#[cfg(all(feature = "inventory", feature = "axum"))]
pub(crate) use response::problem;
pub use row::PgVersioned;
#[cfg(any(feature = "inventory", feature = "testing"))]
pub(crate) use transaction::Failed;
pub(crate) use transaction::OfSqlx;
#[cfg(feature = "inventory")]
pub(crate) use transaction::{
    Begin, BoxFuture, InProgress, Lease, Pending, READ_COMMITTED, READ_COMMITTED_LIMITED, Scope,
    Slot, WAIT_SHORTLY, Work, directly, in_transaction,
};
pub use transaction::{
    Isolation, KeyTable, Once, OnceOptions, TransactOptions, Tx, TxOperation, create_key_table,
    forget_keys, transact, transact_once, transact_once_with, transact_with,
};
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use transaction::{OnceAnswer, transact_once_answer, transact_once_answer_with};

/// Only for the expansion of [`versioned_row!`](crate::versioned_row).
#[doc(hidden)]
pub mod __private {
    pub use super::{
        bind::{Array, Scalar, Value, bind, bind_arrays, bind_scalars, check, name, type_of},
        row::{Column, Int, Kind, Role, RustType, VersionColumn},
    };
    pub use sqlx::{error::BoxDynError, postgres::PgArguments};
}
