//! Balance checks of the ledger, by SQL of the tests and by the audit.

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, PgPool},
};

/// Returns what does not balance.
async fn discrepancies(pool: &PgPool) -> Vec<String> {
    let mut found = support::balances::discrepancies(pool).await.unwrap();
    let audit = PgInventory::new(pool.clone()).audit().await.unwrap();
    found.extend(audit.discrepancies.iter().map(|it| format!("audit: {it}")));
    found
}

/// Asserts that orders, holds, stock and ledger agree.
pub async fn assert_balanced(pool: &PgPool, cell: &str) {
    let found = discrepancies(pool).await;
    assert!(
        found.is_empty(),
        "{cell}: the rows do not balance: {found:#?}"
    );
}

/// Deletes all rows of the inventory.
pub async fn clear(pool: &PgPool) {
    const CLEAR: &str =
        "TRUNCATE optilock.products, optilock.orders, optilock.order_lines, optilock.holds,
        optilock.movements, optilock.reservations, optilock.returns, optilock.outbox,
        optilock.archived_tokens";
    sqlx::raw_sql(CLEAR).execute(pool).await.unwrap();
}
