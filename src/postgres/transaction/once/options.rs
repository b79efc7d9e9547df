//! The settings of a transaction that takes effect once.

use super::table::KeyTable;
use crate::postgres::transaction::options::TransactOptions;

/// The settings of [`transact_once_with`](crate::postgres::transact_once_with).
///
/// # Default
///
/// The table `optilock.once_keys`, and transactions without a setting.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OnceOptions {
    pub(super) table: KeyTable,
    pub(super) transaction: TransactOptions,
}

impl OnceOptions {
    /// Returns the defaults, as listed [above](Self#default).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the table of the keys.
    pub fn with_table(mut self, table: KeyTable) -> Self {
        self.table = table;
        self
    }

    /// Sets isolation level and timeouts of the transactions. A read-only transaction can't store its key.
    ///
    /// A [lock timeout](TransactOptions::with_lock_timeout) limits also the wait for another call with the same key.
    pub fn with_transaction(mut self, options: TransactOptions) -> Self {
        self.transaction = options;
        self
    }
}
