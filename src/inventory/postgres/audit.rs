//! The books, compared in one statement, and so in one snapshot.

use sqlx::{PgConnection, Row};

use super::row::impossible;
use crate::inventory::{Audit, Discrepancy, DiscrepancyKind, Error};

/// Each part answers with the number of its rule, what is wrong, the number expected, and the one found.
/// `$1` the most rows.
const AUDIT: &str = "WITH found (kind, subject, expected, found) AS (
    SELECT 1, p.sku, coalesce(sum(m.delta), 0), p.stock
    FROM optilock.products p LEFT JOIN optilock.movements m ON m.sku = p.sku
    GROUP BY p.sku, p.stock HAVING p.stock <> coalesce(sum(m.delta), 0)

    UNION ALL
    SELECT 2, coalesce(p.sku, m.sku), coalesce(p.version, 0), m.count
    FROM optilock.products p FULL JOIN (
        SELECT sku, count(*), min(version) AS low, max(version) AS high FROM optilock.movements GROUP BY sku) m
        ON m.sku = p.sku
    WHERE m.low IS DISTINCT FROM 1 OR m.high IS DISTINCT FROM p.version OR m.count IS DISTINCT FROM p.version

    UNION ALL
    SELECT 3, sku || ' version ' || version, so_far, stock_after
    FROM (SELECT sku, version, stock_after, sum(delta) OVER (PARTITION BY sku ORDER BY version) AS so_far
        FROM optilock.movements) m
    WHERE stock_after <> so_far

    UNION ALL
    SELECT 4, p.sku, coalesce(sum(h.held), 0), p.reserved
    FROM optilock.products p LEFT JOIN optilock.holds h ON h.sku = p.sku AND h.state = 0
    GROUP BY p.sku, p.reserved HAVING p.reserved <> coalesce(sum(h.held), 0)

    UNION ALL
    SELECT 5, sku, greatest(least(reserved, stock), 0), reserved
    FROM optilock.products WHERE stock < 0 OR reserved < 0 OR reserved > stock

    UNION ALL
    SELECT 6, coalesce(l.order_id, m.order_id) || ' ' || coalesce(l.sku, m.sku),
        CASE WHEN o.status IS DISTINCT FROM 3 THEN coalesce(l.quantity, 0) ELSE 0 END, coalesce(-m.delta, 0)
    FROM optilock.order_lines l
    FULL JOIN (SELECT order_id, sku, sum(delta) AS delta FROM optilock.movements
        WHERE kind IN (1, 2, 12) GROUP BY order_id, sku) m ON m.order_id = l.order_id AND m.sku = l.sku
    LEFT JOIN optilock.orders o ON o.id = l.order_id
    WHERE CASE WHEN o.status IS DISTINCT FROM 3 THEN coalesce(l.quantity, 0) ELSE 0 END <> coalesce(-m.delta, 0)
        OR m.order_id IS NULL OR l.order_id IS NULL

    UNION ALL
    SELECT 7, coalesce(l.order_id, m.order_id) || ' ' || coalesce(l.sku, m.sku),
        coalesce(l.returned, 0), coalesce(m.delta, 0)
    FROM optilock.order_lines l
    FULL JOIN (SELECT order_id, sku, sum(delta) AS delta FROM optilock.movements
        WHERE kind = 11 GROUP BY order_id, sku) m ON m.order_id = l.order_id AND m.sku = l.sku
    WHERE coalesce(l.returned, 0) <> coalesce(m.delta, 0)

    UNION ALL
    SELECT 8, o.id::text, coalesce(sum(l.quantity * l.price), 0), o.total
    FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
    GROUP BY o.id, o.total HAVING o.total <> coalesce(sum(l.quantity * l.price), 0)

    UNION ALL
    SELECT 9, coalesce(o.id, l.order_id)::text, (o.status IS DISTINCT FROM 4 AND o.id IS NOT NULL)::int, l.count
    FROM optilock.orders o FULL JOIN (
        SELECT order_id, count(*) FROM optilock.order_lines GROUP BY order_id) l ON l.order_id = o.id
    WHERE o.id IS NULL OR (o.status <> 4) <> (l.order_id IS NOT NULL)

    UNION ALL
    SELECT 10, coalesce(r.id, h.reservation_id)::text, (r.id IS NOT NULL)::int, h.count
    FROM optilock.reservations r FULL JOIN (
        SELECT reservation_id, count(*) FROM optilock.holds GROUP BY reservation_id) h ON h.reservation_id = r.id
    WHERE r.id IS NULL OR h.reservation_id IS NULL

    UNION ALL
    SELECT 11, reservation_id || ' ' || sku, (held = 0)::int, (state = 1)::int
    FROM optilock.holds WHERE (held = 0) <> (state = 1))
SELECT kind::smallint, subject, coalesce(expected, 0)::bigint AS expected, coalesce(found, 0)::bigint AS found
FROM found ORDER BY kind, subject LIMIT $1";

pub(super) async fn audit(conn: &mut PgConnection) -> Result<Audit, Error> {
    let most = i64::try_from(Audit::MAX_DISCREPANCIES).unwrap_or(i64::MAX);
    let rows = sqlx::query(AUDIT).bind(most).fetch_all(conn).await;
    let mut discrepancies = Vec::new();
    for row in rows.map_err(Error::before)? {
        let code: i16 = row.try_get("kind")?;
        let kind = DiscrepancyKind::of_code(code)
            .ok_or_else(|| impossible(format!("{code} is no kind of discrepancy")))?;
        let (expected, found) = (row.try_get("expected")?, row.try_get("found")?);
        let subject: String = row.try_get("subject")?;
        discrepancies.push(Discrepancy::new(kind, subject, expected, found));
    }
    Ok(Audit::new(discrepancies))
}
