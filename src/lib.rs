#![cfg_attr(docsrs, feature(doc_cfg))]
//! Optimistic locking: no lost updates, no overselling.

mod retry;
mod version;

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub mod inventory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use inventory::migrate;
pub use retry::{
    Attempt, Backoff, Class, Classify, Jitter, Operation, RetryError, RetryPolicy, StopReason,
    with_retry, with_retry_mut,
};
pub use version::{Conflict, ParseVersionError, Version, Versioned};

/// The sqlx that this crate works with.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sqlx;
