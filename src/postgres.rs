//! Versioned rows of any table, and transactions that survive what really happens to them.
//!
//! [`versioned_row!`](crate::versioned_row) says which struct is a row of which table;
//! [`PgRepository`] reads such rows and writes them only for who has read their current version.
//! [`transact`] owns `BEGIN` and `COMMIT`, retries whole attempts, and knows what an error means in
//! the phase in which it came: a connection lost before `COMMIT` took nothing with it, one lost at
//! `COMMIT` leaves the outcome unknown. sqlx's own errors get a [`Class`](crate::Class) by
//! [`Classify`](crate::Classify).
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
//!     seats.update_in(tx, &seat).await?; // refused if another writer was faster, and tried again
//!     sqlx::query("INSERT INTO theatre.tickets (seat) VALUES (7)").execute(&mut **tx).await?;
//!     Ok::<_, Error>(true)
//! })
//! .await?;
//! # let _ = taken;
//! # Ok(()) }
//! ```
//!
//! The [guide](crate::guide::rows) tells which operation is for what.

mod assertion;
mod bind;
mod bulk;
mod classify;
mod error;
mod failed;
mod hot_rows;
mod lease;
mod modify;
mod outcome;
mod pool;
mod repository;
mod row;
#[cfg(feature = "inventory")]
mod scoped;
mod sql;
mod transaction;
mod verify;
mod version;
mod write;

#[cfg(feature = "inventory")]
pub(crate) use assertion::suppressed_table;
pub use bulk::Bulk;
pub(crate) use classify::{
    Judgement, Phase, Situation, advice, class_in, class_of_busy, class_of_unknown, is_forbidden,
    is_out_of_range, is_read_only, is_stale_plan, is_unique_violation,
};
#[cfg(feature = "inventory")]
pub(crate) use classify::{
    is_aborted, is_cancelled, is_ledger_key, is_lock_timeout, is_of_statement, is_refused_row,
};
#[cfg(feature = "inventory")]
pub(crate) use error::Repr;
pub use error::{Error, ErrorKind};
pub(crate) use failed::Failed;
pub(crate) use lease::{Lease, OfSqlx, on_connection};
pub use outcome::WriteOutcome;
pub use pool::{PoolOptions, pool_options};
pub use repository::PgRepository;
pub use row::PgVersioned;
#[cfg(feature = "inventory")]
pub(crate) use scoped::{Pending, Scope, Work, directly, in_transaction};
#[cfg(feature = "inventory")]
pub(crate) use transaction::Begin;
pub use transaction::{Isolation, TransactOptions, Tx, TxOperation, transact, transact_with};
pub(crate) use transaction::{READ_COMMITTED, attempt};

/// For what [`versioned_row!`](crate::versioned_row) expands to, and nobody else.
#[doc(hidden)]
pub mod __private {
    pub use super::{
        bind::{Array, Scalar, Value, bind, bind_arrays, bind_scalars, check, name, type_of},
        row::{Column, Kind, Role, RustType},
    };
    pub use sqlx::{error::BoxDynError, postgres::PgArguments};
}
