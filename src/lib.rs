#![cfg_attr(docsrs, feature(doc_cfg))]
//! Optimistic locking: concurrent writers never lose each other's updates, and a shop never sells
//! stock that it does not have.
//!
//! Two buyers read "one left", both buy, and the same pot is sold twice. A writer that says which
//! [`Version`] it read is refused when the row has moved on, with a [`Conflict`], and
//! [`with_retry`] reads and decides again: bounded, jittered, and never after an outcome that
//! nobody knows.
//!
//! ```
//! use optilock::{Conflict, RetryPolicy, Version, with_retry};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let written = with_retry(&RetryPolicy::new(), async |attempt| {
//!     // read the row, decide, write it at the version that was read
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
//! The crate has three floors, each a feature; a floor knows those below it and nothing above:
//!
//! - the core, always there: [`Version`], [`Versioned`], [`with_retry`];
//! - `postgres`: versioned rows of your own tables, and transactions that survive what really happens
//!   to them;
//! - `inventory`, the default: products, checkout and orders on PostgreSQL, and in memory.
//!
//! The [`guide`] tells how to use them, and why they are as they are.

mod error_chain;
pub mod guide;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
mod metrics;
mod outcome;
mod precondition;
mod retry;
mod version;

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub mod inventory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;

#[cfg(feature = "cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "cache")))]
pub use inventory::cache;
#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use inventory::migrate;
pub use outcome::Outcome;
pub use precondition::{IfMatch, ParseIfMatchError, PreconditionFailed};
pub use retry::{
    Attempt, Backoff, Class, Classify, Jitter, Operation, RetryBudget, RetryError, RetryPolicy,
    StopReason, with_retry, with_retry_mut,
};
pub use version::{Conflict, ParseVersionError, Version, Versioned};

/// The sqlx that this crate works with.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sqlx;

#[cfg(all(doctest, feature = "inventory"))]
#[doc = include_str!("../README.md")]
struct Readme;
