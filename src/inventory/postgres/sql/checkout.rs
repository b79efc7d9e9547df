//! Statements of checkouts.

/// Whether a row is stored as [`SELL_ONE`] meant it.
macro_rules! as_meant {
    (order) => {
        "o.id = $7::uuid AND o.status = 0 AND o.version = 1 AND o.total = $2::bigint * p.price
                AND o.currency = p.currency AND o.customer IS NOT DISTINCT FROM $8::text
                AND o.idempotency_key IS NOT DISTINCT FROM $9::text"
    };
    (line) => {
        "l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price AND l.returned = 0"
    };
}

/// A checkout of one line, in one round trip. `$1` sku, `$2` quantity, `$3` version?, `$4` price?,
/// `$5` currency?, `$6` the highest price whose total fits, `$7` order, `$8` customer?, `$9` key?. No
/// row: refused, ask [`FACTS`] why.
///
/// Only the guard sees the row as it was before, after a wait too: it leaves what the assertion needs in a
/// setting of the transaction. A CTE that locks the row first would cost as much and hold the lock longer.
/// Each write depends on the one before it, as it was stored, so that the last `SELECT` looks at the last one
/// only: that is half the price of [`asserted!`], which is a tenth of the statement. It has no subqueries:
/// each would be set up once more for a buyer that waited for the row, while it holds the lock.
#[doc(hidden)] // for the benches, which give it to pgbench
pub const SELL_ONE: &str = concat!(
    "WITH changed AS (
        UPDATE optilock.products p
        SET stock = p.stock - $2::bigint, version = p.version + 1,
            updated_at = greatest(p.updated_at, pg_catalog.clock_timestamp())
        WHERE p.sku = $1::text AND NOT p.retired AND NOT p.paused AND p.stock - p.reserved >= $2::bigint
            AND p.version = coalesce($3::bigint, p.version) AND p.price = coalesce($4::bigint, p.price)
            AND p.currency = coalesce($5::text, p.currency) AND p.price <= $6::bigint
            AND pg_catalog.set_config('optilock.before', p.version::text || ' ' || p.stock::text || ' ' || p.reserved::text
                || ' ' || p.price::text || ' ' || p.currency, true) IS NOT NULL
        RETURNING p.sku, p.version, p.stock, p.reserved, p.price, p.currency, p.updated_at,
            pg_catalog.current_setting('optilock.before')
                = (p.version - 1)::text || ' ' || (p.stock + $2::bigint)::text || ' ' || p.reserved::text
                || ' ' || p.price::text || ' ' || p.currency AS as_meant),
    new_order AS (
        INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
        SELECT $7::uuid, $8::text, $9::text, $2::bigint * p.price, p.currency FROM changed p WHERE p.as_meant
        RETURNING id, status, version, total, currency, customer, idempotency_key),
    line AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT o.id, p.sku, $2::bigint, p.price FROM new_order o, changed p WHERE ",
    as_meant!(order),
    "
        RETURNING order_id, sku, quantity, price, returned),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
        SELECT p.sku, p.version, 1::smallint, - $2::bigint, p.stock, l.order_id, p.updated_at
        FROM line l, changed p WHERE ",
    as_meant!(line),
    "
        RETURNING sku, version, kind, delta, stock_after, order_id)
    SELECT p.price, p.currency, p.version AS new_version, p.stock AS new_stock, p.reserved AS new_reserved,
        pg_catalog.statement_timestamp() AS created_at, CASE
            WHEN m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint AND m.stock_after = p.stock
                AND m.kind = 1 AND m.order_id = $7::uuid THEN true
            ELSE ('optilock.suppressed.' || CASE WHEN (p.as_meant) IS NOT TRUE THEN 'products'
                WHEN (",
    as_meant!(order),
    ") IS NOT TRUE THEN 'orders'
                WHEN (",
    as_meant!(line),
    ") IS NOT TRUE THEN 'order_lines'
                ELSE 'movements' END || ' ' || p.version::text)::boolean END AS stored
    FROM changed p LEFT JOIN new_order o ON true LEFT JOIN line l ON true LEFT JOIN ledger m ON true"
);

/// A checkout of many lines, merged and sorted. `$1` skus, `$2` quantities, `$3` versions?, `$4`
/// prices?, `$5` currencies?, `$6` order, `$7` customer?, `$8` key?. One row per line with its facts
/// under the lock, those of a retired product without a version; `wrote` tells whether the order was made.
/// All lines fit and not written: the order already exists, or its insert was suppressed.
///
/// `$live` are units of a line that the checkout's reservation holds as reserved, `$unexpired` those of them
/// whose hold has not expired, `$covered` those that it covers, reserved or not.
macro_rules! sell_many {
    (
        before: $before:literal, after: $after:literal, holds: $holds:literal, join: $join:literal,
        live: $live:literal, unexpired: $unexpired:literal, covered: $covered:literal, open: $open:literal, take: $take:literal,
        reservation: $reservation:literal, taken: { $($table:literal: $taken:expr),* },
        seen: { $($hidden_table:literal: $seen:expr),* }
    ) => {
        concat!(
            "WITH ",
            $before,
            "requested AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
            AS requested (sku, quantity, version, price, currency)),
    locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
        FROM optilock.products p WHERE p.sku = ANY ($1::text[])",
            $after,
            " ORDER BY p.sku FOR NO KEY UPDATE),",
            $holds,
            "
    judged AS MATERIALIZED (
        SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
            CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked, ",
            $live,
            " AS live, least(",
            $covered,
            ", r.quantity) AS taken, ",
            $unexpired,
            " AS unexpired, (NOT k.retired AND (NOT k.paused OR ",
            $unexpired,
            " >= r.quantity) AND k.stock - k.reserved + ",
            $live,
            " >= r.quantity AND k.version = coalesce(r.version, k.version)
                AND k.price = coalesce(r.price, k.price)
                AND k.currency = coalesce(r.currency, k.currency)) IS TRUE AS fits
        FROM requested r LEFT JOIN locked k ON k.sku = r.sku",
            $join,
            "),
    meant AS MATERIALIZED (
        SELECT sku, quantity, price, stock - quantity AS stock, reserved - least(live, quantity) AS reserved,
            version + 1 AS version, updated_at FROM judged),
    cart AS MATERIALIZED (
        SELECT pg_catalog.sum(quantity::numeric * price::numeric) AS total, pg_catalog.min(currency) AS currency,
            pg_catalog.sum(taken)::bigint AS taken,
            pg_catalog.bool_and(fits) AND pg_catalog.count(DISTINCT currency) = 1
                AND pg_catalog.sum(quantity::numeric * price::numeric) <= 9223372036854775807::numeric AS fits
        FROM judged),
    new_order AS (
        INSERT INTO optilock.orders (id, customer, idempotency_key, reservation_id, total, currency)
        SELECT $6::uuid, $7::text, $8::text, ",
            $reservation,
            ", c.total::bigint, c.currency FROM cart c WHERE c.fits",
            $open,
            " ON CONFLICT DO NOTHING
        RETURNING id, status, version, total, currency, customer, idempotency_key),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM new_order o, meant t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
        RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),",
            $take,
            "
    line AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT o.id, t.sku, t.quantity, t.price FROM new_order o, meant t
        RETURNING order_id, sku, quantity, price, returned),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id, moved_at)
        SELECT p.sku, p.version, 1::smallint, - t.quantity, p.stock, o.id, ",
            $reservation,
            ", p.updated_at FROM new_order o, changed p JOIN meant t ON t.sku = p.sku
        RETURNING sku, version, kind, delta, stock_after, order_id)
    SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price, j.currency,
        j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
        pg_catalog.statement_timestamp() AS created_at, ",
            asserted!(
                "j.quantity";
                $($hidden_table: $seen,)*
                "products": "j.locked OR NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = j.sku)",
            ),
            " AND CASE WHEN EXISTS (SELECT FROM new_order) THEN ",
            asserted!(
                "j.quantity";
                "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "orders": "(SELECT o.id = $6::uuid AND o.status = 0 AND o.version = 1
                AND o.total = c.total::bigint AND o.currency = c.currency
                AND o.customer IS NOT DISTINCT FROM $7::text AND o.idempotency_key IS NOT DISTINCT FROM $8::text
                FROM new_order o, cart c)",
                $($table: $taken,)*
                "order_lines": "(SELECT pg_catalog.count(*) FROM line l JOIN meant t ON t.sku = l.sku
                AND t.quantity = l.quantity AND t.price = l.price WHERE l.order_id = $6::uuid AND l.returned = 0)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.quantity = - m.delta AND t.stock = m.stock_after
                WHERE m.kind = 1 AND m.order_id = $6::uuid)
            = (SELECT pg_catalog.count(*) FROM meant)",
            ),
            " ELSE false END AS wrote
    FROM judged j JOIN meant t ON t.sku = j.sku ORDER BY j.sku COLLATE \"C\""
        )
    };
}

pub(crate) const SELL_MANY: &str = sell_many! {
    before: "", after: "", holds: "", join: "", live: "0::bigint", unexpired: "0::bigint", covered: "0::bigint", open: "", take: "",
    reservation: "NULL::uuid", taken: {}, seen: {}
};

/// The same from a reservation, whose row is locked first: of two checkouts from it the second must see
/// what the first one took. What a hold covered is sold once, whether or not it has expired. `$9`
/// reservation.
pub(crate) const SELL_HELD: &str = sell_many! {
    before: "reservation AS MATERIALIZED (
        SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $9::uuid FOR NO KEY UPDATE),
    ",
    after: " AND (SELECT pg_catalog.count(*) FROM reservation) >= 0",
    holds: "
    locked_holds AS MATERIALIZED (
        SELECT h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
        WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
        ORDER BY h.sku FOR NO KEY UPDATE),
    held AS MATERIALIZED (SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0, 3)),",
    join: " LEFT JOIN held h ON h.sku = r.sku",
    live: "CASE WHEN h.state = 0 THEN h.held ELSE 0::bigint END",
    unexpired: "CASE WHEN h.state = 0 AND h.expires_at > pg_catalog.statement_timestamp() THEN h.held ELSE 0::bigint END",
    covered: "coalesce(h.held, 0::bigint)",
    open: " AND (SELECT r.remaining > 0 FROM reservation r)",
    take: "
    used AS (
        UPDATE optilock.holds h
        SET held = b.held - j.taken, state = CASE WHEN b.held = j.taken THEN 1::smallint ELSE b.state END
        FROM new_order o, held b JOIN judged j ON j.sku = b.sku
        WHERE h.reservation_id = $9::uuid AND h.sku = b.sku
        RETURNING h.sku, h.held, h.state),
    reduced AS (
        UPDATE optilock.reservations r SET remaining = b.remaining - c.taken
        FROM new_order o, cart c, reservation b WHERE r.id = b.id AND r.id = $9::uuid
        RETURNING r.remaining),",
    reservation: "$9::uuid",
    taken: {
        "reservations": "(SELECT r.remaining = b.remaining - c.taken FROM reduced r, reservation b, cart c)",
        "holds": "(SELECT pg_catalog.count(*) FROM used h JOIN held b ON b.sku = h.sku JOIN judged j ON j.sku = h.sku
                AND b.held - j.taken = h.held
                AND h.state = CASE WHEN b.held = j.taken THEN 1::smallint ELSE b.state END)
            = (SELECT pg_catalog.count(*) FROM held)"
    },
    seen: {
        "holds": "(SELECT pg_catalog.count(*) FROM locked_holds)
            = (SELECT pg_catalog.count(*) FROM optilock.holds h
                WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked)))"
    }
};

/// The facts of these products, one row each in byte order, and whether the order is there by its id,
/// all of one moment. `$1` skus, `$2` order. For who reads first: planning it takes half as long as
/// [`FACTS`].
pub(crate) const GLANCE: &str =
    "SELECT p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
        EXISTS (SELECT FROM optilock.orders o WHERE o.id = $2::uuid) AS taken
    FROM pg_catalog.unnest($1::text[]) AS r (sku)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\"";

/// The same with what has expired, and whether the order is there by its key. `$1` skus, `$2`
/// customer?, `$3` key?, `$4` order, `$5` units.
pub(crate) const FACTS: &str = concat!(
    "SELECT p.stock - p.reserved AS available, ",
    expired!("r.sku", "r.units", ""),
    " AS expired, p.version, p.price, p.currency, p.paused, EXISTS ",
    known!("$4::uuid", "$2::text", "$3::text"),
    " AS taken
    FROM unnest($1::text[], $5::bigint[]) AS r (sku, units)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\""
);

/// What has expired of these products, one row each in byte order. `$1` skus, `$2` units, `$3` a
/// reservation not to be counted?.
pub(crate) const EXPIRED: &str = concat!(
    "SELECT ",
    expired!(
        "r.sku",
        "r.units",
        " AND (h.reservation_id = $3::uuid) IS NOT TRUE"
    ),
    " AS expired FROM unnest($1::text[], $2::bigint[]) AS r (sku, units) ORDER BY r.sku COLLATE \"C\""
);

/// Locks these products in byte order; retired ones are without a version. `$1` skus.
pub(crate) const LOCK: &str = "SELECT p.sku, p.stock - p.reserved AS available, p.price,
        CASE WHEN NOT p.retired THEN p.version END AS version, p.currency, p.paused
    FROM optilock.products p WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE";
