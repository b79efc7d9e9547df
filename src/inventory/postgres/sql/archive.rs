//! Statements of the archive. What leaves is locked first and read in a later snapshot: nothing else changes it then.
//! One statement removes it, the last one: without its answer, nothing was removed.

super::statement::statements! {
    pub(crate) const LOCK_ORDERS = "../archive/lock_orders.sql";
    pub(crate) const LEAVING_ORDERS = "../archive/leaving_orders.sql";
    pub(crate) const RETURNS = "../archive/returns.sql";
    pub(crate) const REMOVE_ORDERS = "../archive/remove_orders.sql";
    pub(crate) const LOCK_RESERVATIONS = "../archive/lock_reservations.sql";
    pub(crate) const RESERVATIONS = "../archive/reservations.sql";
    pub(crate) const REMOVE_RESERVATIONS = "../archive/remove_reservations.sql";
    pub(crate) const LEDGERS = "../archive/ledgers.sql";
    pub(crate) const LOCK_MOVEMENTS = "../archive/lock_movements.sql";
    pub(crate) const STILL_OPEN = "../archive/still_open.sql";
    pub(crate) const CLOSE_LEDGERS = "../archive/close_ledgers.sql";
}
