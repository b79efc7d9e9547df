//! Statements of the ledger, the audit and the report.

super::statement::statements! {
    pub(crate) const MOVEMENTS = "../ledger/movements.sql";
    pub(crate) const MOVEMENTS_SINCE = "../ledger/movements_since.sql";
    pub(crate) const AUDIT_LEDGER = "../ledger/audit/ledger.sql";
    pub(crate) const AUDIT_ORDERS = "../ledger/audit/orders.sql";
    pub(crate) const AUDIT_RESERVATIONS = "../ledger/audit/reservations.sql";
    pub(crate) const REPORT_ORDERS = "../ledger/report/orders.sql";
    pub(crate) const NEGATIVE_STOCK = "../ledger/report/negative_stock.sql";
    pub(crate) const UNPAID = "../ledger/report/unpaid.sql";
    pub(crate) const BEST_SELLERS = "../ledger/report/best_sellers.sql";
    pub(crate) const CONTENDED = "../ledger/report/contended.sql";
}
