//! Statements of the executor.

super::statement::statements! {
    pub(crate) const NAMES = "../executor/names.sql";
    pub(crate) const FLUSH = "../executor/flush.sql";
}
