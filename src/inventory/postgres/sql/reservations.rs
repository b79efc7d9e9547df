//! Statements of reservations and their holds.

/// Holds units. `$1` skus, `$2` quantities, `$3` reservation, `$4` customer?, `$5` key?, `$6` duration in
/// microseconds. One row per line with its facts; `wrote` as in [`SELL_MANY`].
pub(in crate::inventory::postgres) const RESERVE: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY($1) AND NOT retired ORDER BY sku FOR NO KEY UPDATE),
    f AS MATERIALIZED (
        SELECT r.sku, r.quantity, k.stock, k.reserved, k.version,
            (k.stock - k.reserved >= r.quantity) IS TRUE AS ok
        FROM unnest($1::text[], $2::bigint[]) AS r (sku, quantity) LEFT JOIN k ON k.sku = r.sku),
    i AS (
        INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
        SELECT $3, $4, $5, (SELECT pg_catalog.sum(quantity)::bigint FROM f) WHERE (SELECT bool_and(ok) FROM f) ON CONFLICT DO NOTHING RETURNING id),
    h AS (
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
        SELECT i.id, f.sku, f.quantity, f.quantity, statement_timestamp() + $6 * interval '1 microsecond'
        FROM i, f),
    u AS (
        UPDATE optilock.products p
        SET stock = f.stock, reserved = f.reserved + f.quantity, version = f.version + 1,
            updated_at = statement_timestamp()
        FROM i, f WHERE p.sku = f.sku RETURNING p.sku, p.version, p.stock),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
        SELECT u.sku, u.version, 4, 0, u.stock, i.id FROM i, u)
    SELECT f.sku, f.quantity, f.stock - f.reserved AS available, CASE WHEN f.ok THEN 0 ELSE ",
    expired!("f.sku", ""),
    " END AS expired, CASE WHEN EXISTS (SELECT FROM i)
        THEN (1 / ((SELECT count(*) FROM u) = cardinality($1))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\""
);

macro_rules! reservation {
    () => {
        "SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
            CASE WHEN h.state = 0 AND h.expires_at <= statement_timestamp() THEN 3 ELSE h.state END::smallint AS state
        FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id "
    };
}

/// A reservation, one row per hold. `$1` reservation.
pub(in crate::inventory::postgres) const RESERVATION: &str =
    concat!(reservation!(), "WHERE r.id = $1 ORDER BY h.sku");

/// The reservation that a request may have made before, by its id or, failing that, by its key. `$1`
/// reservation, `$2` customer?, `$3` key?.
pub(in crate::inventory::postgres) const RESERVATION_KNOWN: &str = concat!(
    reservation!(),
    "WHERE r.id = (SELECT id FROM optilock.reservations WHERE id = $1
        UNION ALL SELECT id FROM optilock.reservations
            WHERE idempotency_key = $3 AND coalesce(customer, '') = coalesce($2, '') LIMIT 1)
    ORDER BY h.sku"
);

/// `$1` reservation, `$2` microseconds. Who extends locks no product, and so locks its holds in order.
pub(in crate::inventory::postgres) const EXTEND: &str = "WITH h AS MATERIALIZED (
        SELECT sku, expires_at FROM optilock.holds WHERE reservation_id = $1 AND state = 0
            AND expires_at > statement_timestamp() ORDER BY sku FOR NO KEY UPDATE)
    UPDATE optilock.holds o
    SET expires_at = greatest(h.expires_at, statement_timestamp() + $2 * interval '1 microsecond')
    FROM h WHERE o.reservation_id = $1 AND o.sku = h.sku";

/// `$1` reservation.
pub(in crate::inventory::postgres) const RELEASE: &str = end_holds! {
    before: "",
    skus: "ARRAY(SELECT sku FROM optilock.holds WHERE reservation_id = $1 AND state = 0)",
    skip: "",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.reservation_id = $1 AND h.state = 0
        ORDER BY h.sku FOR NO KEY UPDATE",
    state: "2",
    kind: "10",
    reservation: "$1",
    answer: "NULL::bigint AS unused"
};

/// Expires what is past its time of these products. `$1` skus.
pub(in crate::inventory::postgres) const LAPSE: &str = end_holds! {
    before: "",
    skus: "$1",
    skip: "",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.state = 0
            AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.sku, h.reservation_id FOR NO KEY UPDATE",
    state: "3",
    kind: "5",
    reservation: "NULL",
    answer: "NULL::bigint AS unused"
};
