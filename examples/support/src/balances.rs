//! Balance checks of the inventory's tables, by SQL that shares nothing with the crate's audit.

use sqlx::PgPool;

const DISCREPANCIES: &str = "
    SELECT 'stock and orders: ' || p.sku FROM optilock.products p
    LEFT JOIN (SELECT sku, sum(delta) AS came FROM optilock.movements
        WHERE kind IN (3, 6, 8, 15)
            OR order_id IN (SELECT id FROM optilock.orders WHERE archived_before IS NOT NULL)
        GROUP BY sku) m ON m.sku = p.sku
    LEFT JOIN (SELECT l.sku, sum(l.quantity - l.returned) AS went FROM optilock.order_lines l
        JOIN optilock.orders o ON o.id = l.order_id WHERE o.status IN (0, 1, 2) GROUP BY l.sku) l ON l.sku = p.sku
    WHERE p.stock <> coalesce(m.came, 0) - coalesce(l.went, 0)
    UNION ALL
    SELECT 'bounds: ' || sku FROM optilock.products WHERE NOT (0 <= reserved AND reserved <= stock)
    UNION ALL
    SELECT 'reserved: ' || p.sku FROM optilock.products p
    LEFT JOIN (SELECT sku, sum(held) AS held FROM optilock.holds WHERE state = 0 GROUP BY sku) h ON h.sku = p.sku
    WHERE p.reserved <> coalesce(h.held, 0)
    UNION ALL
    SELECT 'versions: ' || p.sku FROM optilock.products p
    WHERE ARRAY(SELECT m.version FROM optilock.movements m WHERE m.sku = p.sku ORDER BY m.version)
        <> ARRAY(SELECT generate_series(coalesce((
            SELECT max(m.version) FROM optilock.movements m WHERE m.sku = p.sku AND m.kind = 15), 1), p.version))
    UNION ALL
    SELECT 'running stock: ' || m.sku FROM (
        SELECT sku, stock_after, sum(delta) OVER (PARTITION BY sku ORDER BY version) AS so_far
        FROM optilock.movements) m
    WHERE m.stock_after <> m.so_far
    UNION ALL
    SELECT 'movements without a product: ' || m.sku FROM optilock.movements m
    WHERE NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = m.sku)
    UNION ALL
    SELECT 'time runs backwards: ' || m.sku FROM (
        SELECT sku, moved_at, lag(moved_at) OVER (PARTITION BY sku ORDER BY version) AS before
        FROM optilock.movements) m
    WHERE m.moved_at < m.before
    UNION ALL
    SELECT 'order in part: ' || o.id FROM optilock.orders o
    LEFT JOIN (SELECT order_id, sum(quantity * price) AS total FROM optilock.order_lines GROUP BY order_id) l
        ON l.order_id = o.id
    WHERE coalesce(l.total, 0) <> o.total OR (o.status <> 4) <> (l.order_id IS NOT NULL)
    UNION ALL
    SELECT 'line without an order: ' || l.order_id FROM optilock.order_lines l
    WHERE NOT EXISTS (SELECT FROM optilock.orders o WHERE o.id = l.order_id)
    UNION ALL
    SELECT 'line and ledger: ' || l.order_id || ' ' || l.sku
    FROM optilock.order_lines l JOIN optilock.orders o ON o.id = l.order_id
    LEFT JOIN (SELECT order_id, sku, sum(delta) AS delta FROM optilock.movements
        WHERE order_id IS NOT NULL GROUP BY order_id, sku) m ON m.order_id = l.order_id AND m.sku = l.sku
    WHERE coalesce(-m.delta, 0) <> CASE WHEN o.status = 3 THEN 0 ELSE l.quantity - l.returned END
    UNION ALL
    SELECT 'returned: ' || l.order_id FROM optilock.order_lines l
    WHERE l.returned <> (SELECT coalesce(sum((t.quantities ->> i)::bigint), 0) FROM optilock.returns t,
            generate_series(0, jsonb_array_length(t.skus) - 1) i
        WHERE t.order_id = l.order_id AND t.skus ->> i = l.sku)
    UNION ALL
    SELECT 'reservation in part: ' || r.id FROM optilock.reservations r
    WHERE (r.archived_before IS NULL) <> EXISTS (SELECT FROM optilock.holds h WHERE h.reservation_id = r.id)
    UNION ALL
    SELECT 'hold without a reservation: ' || h.reservation_id FROM optilock.holds h
    WHERE NOT EXISTS (SELECT FROM optilock.reservations r WHERE r.id = h.reservation_id)
    UNION ALL
    SELECT 'remaining: ' || r.id FROM optilock.reservations r
    WHERE r.remaining <> (SELECT coalesce(sum(h.held), 0) FROM optilock.holds h
        WHERE h.reservation_id = r.id AND h.state IN (0, 3))
    UNION ALL
    SELECT 'entry without an order: ' || e.order_id FROM optilock.outbox e
    WHERE NOT EXISTS (SELECT FROM optilock.orders o WHERE o.id = e.order_id AND o.status <> 4)
    UNION ALL
    SELECT 'order with two entries: ' || order_id FROM optilock.outbox GROUP BY order_id HAVING count(*) > 1
    UNION ALL
    SELECT 'unfinished sale: ' || order_id FROM optilock.unfinished_sales";

/// Returns what does not balance among orders, holds, stock and ledger: nothing, if all is well.
///
/// # Errors
/// Those of the database.
pub async fn discrepancies(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(DISCREPANCIES).fetch_all(pool).await
}
