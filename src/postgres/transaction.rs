//! Transactions of the caller's, retried as a whole.

mod attempt;
mod ending;
mod operation;
mod options;
mod transact;
mod tx;

#[cfg(feature = "inventory")]
pub(crate) use attempt::{Begin, Timer, before, has_stale_plan};
pub(crate) use attempt::{READ_COMMITTED, attempt};
#[cfg(feature = "inventory")]
pub(crate) use ending::conclude;
pub use operation::TxOperation;
pub use options::{Isolation, TransactOptions};
pub use transact::{transact, transact_with};
pub use tx::Tx;
