//! Unpaid orders.

use crate::bench::UNPAID;

/// Returns statements that replace all orders by `orders` unpaid ones of one line, created an hour ago,
/// with a consistent ledger.
pub(crate) fn statements(orders: u64) -> String {
    format!(
        "TRUNCATE optilock.orders, optilock.order_lines, optilock.movements;
        UPDATE optilock.products SET stock = 1000000000, version = 1;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            SELECT sku, 1, 8, stock, stock FROM optilock.products;
        CREATE TEMP TABLE new_order ON COMMIT DROP AS
            SELECT gen_random_uuid() AS id, n, 'unpaid-' || n % {UNPAID} AS sku
            FROM generate_series(0, {orders} - 1) AS n;
        INSERT INTO optilock.orders (id, customer, total, currency, created_at, pending_since)
            SELECT id, 'customer-' || n % 5000, 100, 'MXN', at, at FROM new_order,
                LATERAL (SELECT now() - interval '1 hour' + n * interval '1 millisecond' AS at) created
            ORDER BY n;
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT id, sku, 1, 100 FROM new_order ORDER BY n;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
            SELECT sku, 2 + n / {UNPAID}, 1, -1, 1000000000 - 1 - n / {UNPAID}, id
            FROM new_order ORDER BY n;
        UPDATE optilock.products SET stock = stock - taken.units, version = 1 + taken.units
            FROM (SELECT sku, count(*) AS units FROM new_order GROUP BY sku) taken
            WHERE taken.sku = products.sku"
    )
}
