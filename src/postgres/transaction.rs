//! Transactions of the caller's, retried as a whole.

mod attempt;
mod ending;
mod operation;
mod options;
mod transact;
mod tx;

#[cfg(feature = "inventory")]
pub(crate) use attempt::{Begin, attempt_on};
pub(crate) use attempt::{READ_COMMITTED, attempt};
pub use operation::TxOperation;
pub use options::{Isolation, TransactOptions};
pub use transact::{transact, transact_with};
pub use tx::Tx;
