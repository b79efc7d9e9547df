#![cfg_attr(docsrs, feature(doc_cfg))]
//! Optimistic locking for Rust: no lost updates, no overselling.
//!
//! Two buyers read "one left", both buy, and the same pot is sold twice. With optimistic locking, a write
//! states the [`Version`] that was read. If the row has moved on, the write is refused with a
//! [`Conflict`], and [`with_retry`] reads and decides again. Its attempts are limited, its delays are
//! jittered, and an unknown outcome is not retried.
//!
//! ```
//! use optilock::{Conflict, RetryPolicy, Version, with_retry};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let written = with_retry(&RetryPolicy::new(), async |attempt| {
//!     // Read the row, decide, and write it at the version that was read.
//!     let read = Version::FIRST;
//!     if attempt.number() == 1 {
//!         let found = Version::new(2).unwrap();
//!         return Err(Conflict::new("product", "mug-7", read, found));
//!     }
//!     Ok("sold")
//! })
//! .await;
//! assert_eq!(written.unwrap(), "sold");
//! # }
//! ```
//!
//! The crate has three floors. A floor knows those below it and nothing above.
//!
//! - The core is always available: [`Version`], [`Versioned`], [`with_retry`].
//! - The feature `postgres` adds versioned rows of your own tables, and transactions that handle lost
//!   connections, cancelled futures and swallowed errors.
//! - The feature `inventory`, on by default, adds products, checkout, reservations and orders on PostgreSQL
//!   and in memory.
//!
//! The [`guide`] explains how to use them, and the reasons behind the design.

mod error_chain;
pub mod guide;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
mod metrics;
mod outcome;
mod precondition;
#[cfg(feature = "axum")]
mod problem;
#[cfg(feature = "axum")]
mod response;
mod retry;
mod version;

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub mod inventory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

#[cfg(feature = "cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "cache")))]
pub use inventory::cache;
#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use inventory::{migrate, migrate_schema};
pub use outcome::Outcome;
pub use precondition::{IfMatch, ParseIfMatchError, PreconditionFailed};
#[cfg(feature = "axum")]
pub use response::{ETag, IfMatchRejection};
pub use retry::{
    Attempt, Backoff, Class, Classify, Jitter, Operation, RetryBudget, RetryError, RetryPolicy,
    StopReason, with_retry, with_retry_mut,
};
pub use version::{Conflict, ParseVersionError, Version, Versioned};

/// The version of sqlx that this crate uses.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sqlx;

#[cfg(all(doctest, feature = "inventory"))]
#[doc = include_str!("../README.md")]
struct Readme;
