//! Transactions and the connections that they run on.

mod attempt;
mod begin;
mod ending;
mod failed;
#[cfg(feature = "inventory")]
mod in_progress;
mod lease;
mod once;
mod operation;
mod options;
#[cfg(feature = "inventory")]
mod scoped;
mod transact;
mod tx;

pub(crate) use attempt::attempt;
pub(crate) use begin::READ_COMMITTED;
#[cfg(feature = "inventory")]
pub(crate) use begin::{Begin, READ_COMMITTED_LIMITED, WAIT_SHORTLY};
pub(crate) use failed::Failed;
#[cfg(feature = "inventory")]
pub(crate) use in_progress::InProgress;
#[cfg(feature = "inventory")]
pub(crate) use lease::BoxFuture;
pub(crate) use lease::{Lease, OfSqlx, on_connection};
pub use once::{
    KeyTable, Once, OnceOptions, create_key_table, forget_keys, transact_once, transact_once_with,
};
#[cfg(feature = "serde")]
pub use once::{OnceAnswer, transact_once_answer, transact_once_answer_with};
pub use operation::TxOperation;
pub use options::{Isolation, TransactOptions};
#[cfg(feature = "inventory")]
pub(crate) use scoped::{Pending, Scope, Slot, Work, directly, in_transaction};
pub use transact::{transact, transact_with};
pub use tx::Tx;
