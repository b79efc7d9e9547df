//! Statements of reservations and their holds.

/// Holds units. `$1` skus, `$2` quantities, `$3` reservation, `$4` customer?, `$5` key?, `$6` duration in
/// microseconds. One row per line with its facts under the lock, those of a retired product as if there
/// were none; `wrote` as in [`SELL_MANY`](super::checkout::SELL_MANY).
pub(crate) const RESERVE: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.paused, p.retired, p.updated_at FROM optilock.products p
        WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE),
    judged AS MATERIALIZED (
        SELECT r.sku, r.quantity, CASE WHEN NOT k.retired THEN k.stock END AS stock, k.reserved, k.version, k.paused,
            k.updated_at, k.sku IS NOT NULL AS locked,
            (NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= r.quantity) IS TRUE AS fits
        FROM unnest($1::text[], $2::bigint[]) AS r (sku, quantity) LEFT JOIN locked k ON k.sku = r.sku),
    meant AS MATERIALIZED (
        SELECT sku, quantity, stock, reserved + quantity AS reserved, version + 1 AS version, updated_at,
            pg_catalog.statement_timestamp() + $6::float8 * interval '1 microsecond' AS expires_at FROM judged),
    request AS MATERIALIZED (
        SELECT pg_catalog.bool_and(fits) AS fits, pg_catalog.sum(quantity)::bigint AS units FROM judged),
    new_reservation AS (
        INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
        SELECT $3::uuid, $4::text, $5::text, r.units FROM request r WHERE r.fits
        ON CONFLICT DO NOTHING RETURNING id, remaining),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM new_reservation n, meant t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
        RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
    hold AS (
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
        SELECT n.id, t.sku, t.quantity, t.quantity, t.expires_at FROM new_reservation n, meant t
        RETURNING reservation_id, sku, quantity, held, state, expires_at),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
        SELECT p.sku, p.version, 4::smallint, 0::bigint, p.stock, n.id, p.updated_at FROM new_reservation n, changed p
        RETURNING sku, version, delta, stock_after)
    SELECT j.sku, j.quantity, j.stock - j.reserved AS available, j.paused, CASE WHEN j.fits THEN 0::bigint ELSE ",
    expired!("j.sku", "j.quantity", ""),
    " END AS expired, ",
    asserted!(
        "j.quantity";
        "products": "j.locked OR NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = j.sku)",
    ),
    " AND CASE WHEN EXISTS (SELECT FROM new_reservation) THEN ",
    asserted!(
        "j.quantity";
        "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "reservations": "(SELECT n.id = $3::uuid AND n.remaining = r.units FROM new_reservation n, request r)",
        "holds": "(SELECT pg_catalog.count(*) FROM hold h JOIN meant t ON t.sku = h.sku
                AND t.quantity = h.quantity AND t.quantity = h.held AND t.expires_at = h.expires_at
                WHERE h.reservation_id = $3::uuid AND h.state = 0)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.stock = m.stock_after WHERE m.delta = 0)
            = (SELECT pg_catalog.count(*) FROM meant)",
    ),
    " ELSE false END AS wrote FROM judged j ORDER BY j.sku COLLATE \"C\""
);

macro_rules! reservation {
    () => {
        "SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
            CASE WHEN h.state = 0 AND h.expires_at <= pg_catalog.statement_timestamp() THEN 3 ELSE h.state END::smallint AS state
        FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id "
    };
}

/// A reservation, one row per hold. `$1` reservation.
pub(crate) const RESERVATION: &str = concat!(reservation!(), "WHERE r.id = $1 ORDER BY h.sku");

/// The reservation that a request may have made before, by its id or, failing that, by its key. `$1`
/// reservation, `$2` customer?, `$3` key?.
pub(crate) const RESERVATION_KNOWN: &str = concat!(
    reservation!(),
    "WHERE r.id = (SELECT id FROM optilock.reservations WHERE id = $1::uuid
        UNION ALL SELECT id FROM optilock.reservations
            WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '') LIMIT 1)
    ORDER BY h.sku"
);

/// `$1` reservation, `$2` microseconds. Locks no hold that has expired: those are locked behind their
/// products by the requests that end them, of several products one after the other.
pub(crate) const EXTEND: &str = concat!(
    "WITH reservation AS MATERIALIZED (
        SELECT r.id FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
    live AS MATERIALIZED (
        SELECT h.sku, h.held, greatest(h.expires_at,
            pg_catalog.statement_timestamp() + $2::float8 * interval '1 microsecond') AS expires_at
        FROM optilock.holds h
        WHERE h.reservation_id = $1::uuid AND h.state = 0 AND h.expires_at > pg_catalog.statement_timestamp()
            AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
        ORDER BY h.sku FOR NO KEY UPDATE),
    extended AS (
        UPDATE optilock.holds h SET expires_at = l.expires_at
        FROM live l WHERE h.reservation_id = $1::uuid AND h.sku = l.sku
        RETURNING h.sku, h.held, h.state, h.expires_at)
    SELECT (SELECT pg_catalog.count(*) FROM extended) AS holds, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM live)";
        "reservations": "(SELECT pg_catalog.count(*) FROM reservation)
            = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)",
        "holds": "(SELECT pg_catalog.count(*) FROM extended h JOIN live l ON l.sku = h.sku
                AND l.held = h.held AND l.expires_at = h.expires_at WHERE h.state = 0)
            = (SELECT pg_catalog.count(*) FROM live)",
    ),
    " AS stored"
);

/// Ends all holds of a reservation, expired ones included. `$1` reservation.
pub(crate) const RELEASE: &str = end_holds! {
    before: "reservation AS MATERIALIZED (
        SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
    closed AS (
        UPDATE optilock.reservations r SET remaining = 0::bigint FROM reservation b
        WHERE r.id = b.id AND b.remaining > 0
        RETURNING r.remaining),
    ",
    skus: "ARRAY(
            SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = $1::uuid
                AND (SELECT pg_catalog.count(*) FROM reservation) >= 0)",
    skip: "",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state FROM (
            SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
            WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.reservation_id = $1::uuid
            ORDER BY h.sku FOR NO KEY UPDATE) h
        WHERE h.state IN (0, 3)",
    by: " AND h.reservation_id = $1::uuid",
    state: "2",
    kind: "10",
    reservation: "$1::uuid",
    answer: asserted!(
        "(SELECT pg_catalog.count(*) FROM ending)";
        "reservations": "(SELECT pg_catalog.count(*) FROM reservation)
                = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)
            AND (SELECT pg_catalog.count(*) FROM closed r WHERE r.remaining = 0)
                = (SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)",
        "products": "(SELECT pg_catalog.count(*) FROM locked)
            = (SELECT pg_catalog.count(*) FROM optilock.holds WHERE reservation_id = $1::uuid)",
        "holds": "(SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)
            = (SELECT pg_catalog.count(*) FROM (SELECT 1 FROM ending LIMIT 1) e)",
    )
};

/// Ends expired holds of the products that are short, the oldest first, behind the products' locks: about
/// 256 of all together. `$1` skus, `$2` units needed of each, `$3` versions?, `$4` a reservation whose own
/// holds stay?. Ends nothing if a product is not at its version. Answers with the products that changed,
/// each of which is one version on.
///
/// What it ends beyond the need is there for those who wait for the same products.
pub(crate) const EXPIRE: &str = end_holds! {
    before: "reservation AS MATERIALIZED (
        SELECT r.id FROM optilock.reservations r WHERE r.id = $4::uuid FOR NO KEY UPDATE),
    requested AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS requested (sku, units, version)),
    ",
    skus: "ARRAY(SELECT sku FROM requested WHERE (SELECT pg_catalog.count(*) FROM reservation) >= 0)",
    skip: "",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state
        FROM (
            SELECT k.sku, 255 / pg_catalog.count(*) OVER () + 1 AS most
            FROM locked k JOIN requested r ON r.sku = k.sku
            WHERE k.stock - k.reserved + coalesce((
                    SELECT h.held FROM optilock.holds h
                    WHERE h.reservation_id = $4::uuid AND h.sku = k.sku AND h.state = 0), 0::bigint) < r.units
                AND NOT EXISTS (
                SELECT FROM locked o JOIN requested p ON p.sku = o.sku
                WHERE o.version <> coalesce(p.version, o.version))
            ORDER BY k.sku) short,
        LATERAL (
            SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
            WHERE h.sku = short.sku AND h.state = 0 AND h.expires_at <= pg_catalog.statement_timestamp()
                AND (h.reservation_id = $4::uuid) IS NOT TRUE
            ORDER BY h.expires_at LIMIT short.most FOR NO KEY UPDATE) h",
    by: " AND h.reservation_id = ANY (ARRAY(SELECT reservation_id FROM ending))",
    state: "3",
    kind: "5",
    reservation: "NULL::uuid",
    answer: "ARRAY(SELECT sku FROM meant ORDER BY sku) AS changed"
};
