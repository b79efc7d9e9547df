//! The books: what must hold whoever bought what.

use optilock::sqlx::{self, PgPool};

use crate::fault::Fault;

/// Each finds what is wrong, and nothing in good books. The naive tables are none of them: what they
/// lost is the point.
const RULES: [(&str, &str); 6] = [
    (
        "stock that is not the sum of the ledger",
        "SELECT p.sku FROM optilock.products p LEFT JOIN optilock.movements m USING (sku)
         GROUP BY p.sku, p.stock HAVING p.stock <> coalesce(sum(m.delta), 0)",
    ),
    (
        "stock out of bounds",
        "SELECT sku FROM optilock.products WHERE stock < 0 OR reserved < 0 OR reserved > stock",
    ),
    (
        "a version without its entry in the ledger, or a gap there",
        "SELECT p.sku FROM optilock.products p LEFT JOIN optilock.movements m USING (sku)
         GROUP BY p.sku, p.version HAVING count(m.version) <> p.version
             OR min(m.version) <> 1 OR max(m.version) <> p.version",
    ),
    (
        "a ledger entry whose stock is not the sum so far",
        "SELECT sku FROM (
             SELECT sku, stock_after, sum(delta) OVER (PARTITION BY sku ORDER BY version) AS so_far
             FROM optilock.movements) m
         WHERE stock_after <> so_far",
    ),
    (
        "an order line without its sale in the ledger, or a sale without its line",
        "SELECT coalesce(l.order_id, m.order_id)::text FROM optilock.order_lines l
         FULL JOIN (SELECT order_id, sku, delta FROM optilock.movements WHERE kind = 1) m
             ON m.order_id = l.order_id AND m.sku = l.sku AND m.delta = -l.quantity
         WHERE l.order_id IS NULL OR m.order_id IS NULL",
    ),
    (
        "an order without lines, a line without its order, or a total that is not theirs",
        "SELECT coalesce(o.id, l.order_id)::text FROM optilock.orders o
         FULL JOIN optilock.order_lines l ON l.order_id = o.id
         GROUP BY 1, o.total HAVING o.total IS DISTINCT FROM sum(l.quantity * l.price)",
    ),
];

/// Every rule that is broken, and how often.
pub(crate) async fn check(pool: &PgPool) -> Result<Vec<String>, Fault> {
    let mut broken = Vec::new();
    for (what, query) in RULES {
        let found: Vec<String> = sqlx::query_scalar(query).fetch_all(pool).await?;
        if let Some(first) = found.first() {
            broken.push(format!("{what}: {} times, first {first}", found.len()));
        }
    }
    Ok(broken)
}
