//! Statements of products.

macro_rules! product {
    () => {
        "p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
            p.paused, p.created_at, p.updated_at"
    };
}

/// Writes the movement of each row of `changed` and returns what was stored. `$kind`, `$delta`, `$token`
/// and `$reason` are expressions over `changed p`.
macro_rules! recorded {
    ($kind:literal, $delta:literal, $token:literal, $reason:literal) => {
        concat!(
            "ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
        SELECT p.sku, p.version, ",
            $kind,
            ", ",
            $delta,
            ", p.stock, ",
            $token,
            ", ",
            $reason,
            ", p.updated_at FROM changed p
        RETURNING sku, version, kind, delta, stock_after, token, moved_at)"
        )
    };
}

/// `$1` skus.
pub(in crate::inventory::postgres) const PRODUCTS_OF: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = ANY ($1) AND NOT p.retired ORDER BY p.sku"
);

/// `$1` after, `$2` limit.
pub(in crate::inventory::postgres) const PRODUCTS: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2"
);

/// Whether there is such a product, retired or not. `$1` sku.
pub(in crate::inventory::postgres) const EXISTS: &str =
    "SELECT EXISTS (SELECT FROM optilock.products p WHERE p.sku = $1)";

/// The product that the change with this token made. `$1` token.
pub(in crate::inventory::postgres) const CHANGED_BY: &str = concat!(
    "SELECT ",
    product!(),
    ", m.delta, m.kind FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1"
);

/// `$1` sku, `$2` name, `$3` price, `$4` currency, `$5` stock, `$6` token. No row when another
/// transaction added the product, or when something swallowed the row. Else one row, which is the product if it
/// was added, or a retired one taken up; `old_retired` and `held` say why it was not.
pub(in crate::inventory::postgres) const ADD: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.revision, p.retired, p.updated_at
        FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE),
    meant AS MATERIALIZED (
        SELECT k.sku, k.stock AS old_stock, k.reserved, k.version + 1 AS version, k.revision + 1 AS revision,
            k.updated_at
        FROM locked k WHERE k.retired AND k.reserved <= $5),
    new_product AS (
        INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
        SELECT $1::text, $2::text, $3::bigint, $4::text, $5::bigint WHERE NOT EXISTS (SELECT FROM locked)
        ON CONFLICT DO NOTHING RETURNING ",
    product!(),
    "),
    taken_up AS (
        UPDATE optilock.products p
        SET name = $2, price = $3, currency = $4, stock = $5, reserved = t.reserved, retired = false,
            paused = false, version = t.version, revision = t.revision,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku RETURNING ",
    product!(),
    "),
    changed AS (
        SELECT ",
    product!(),
    " FROM new_product p UNION ALL SELECT ",
    product!(),
    " FROM taken_up p),
    ",
    recorded!(
        "8",
        "p.stock - coalesce((SELECT t.old_stock FROM meant t), 0::bigint)",
        "$6",
        "NULL::text"
    ),
    "
    SELECT ",
    product!(),
    ", k.reserved AS held, k.retired AS old_retired, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM changed)";
        "products": "(SELECT pg_catalog.count(*) FROM taken_up p JOIN meant t ON t.sku = p.sku
                AND t.reserved = p.reserved AND t.version = p.version AND t.revision = p.revision)
            = (SELECT pg_catalog.count(*) FROM meant)
            AND (SELECT pg_catalog.count(*) FROM changed p WHERE p.name = $2 AND p.price = $3
                AND p.currency = $4 AND p.stock = $5 AND NOT p.retired AND NOT p.paused)
            = (SELECT pg_catalog.count(*) FROM changed)
            AND (SELECT pg_catalog.count(*) FROM new_product p WHERE p.sku = $1 AND p.version = 1
                AND p.revision = 1 AND p.reserved = 0)
            = (SELECT pg_catalog.count(*) FROM new_product)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN changed p ON p.sku = m.sku
                AND p.version = m.version AND p.stock = m.stock_after AND p.updated_at = m.moved_at
                WHERE m.kind = 8 AND m.token = $6
                AND m.delta = p.stock - coalesce((SELECT t.old_stock FROM meant t), 0::bigint))
            = (SELECT pg_catalog.count(*) FROM changed)",
    ),
    " AS stored
    FROM changed p FULL JOIN locked k ON k.sku = p.sku"
);

/// The movement of a product that a statement before it in the same transaction changed, if it is stored as
/// it was meant. `$1` sku, `$2` version, `$3` kind, `$4` stock, `$5` delta, `$6` token, `$7` reason?, `$8`
/// name, `$9` price, `$10` currency, `$11` retired.
pub(in crate::inventory::postgres) const RECORD: &str = concat!(
    "WITH changed AS MATERIALIZED (
        SELECT p.sku, p.name, p.price, p.currency, p.stock, p.version, p.retired, p.updated_at
        FROM optilock.products p WHERE p.sku = $1),
    ",
    recorded!("$3::smallint", "$5::bigint", "$6", "$7"),
    "
    SELECT ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM changed)";
        "products": "(SELECT pg_catalog.count(*) FROM changed p WHERE p.version = $2 AND p.stock = $4
                AND p.name = $8 AND p.price = $9 AND p.currency = $10 AND p.retired = $11) = 1",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN changed p ON p.sku = m.sku
                AND p.version = m.version AND p.stock = m.stock_after AND p.updated_at = m.moved_at
                WHERE m.kind = $3 AND m.delta = $5 AND m.token = $6) = 1",
    ),
    " AS stored"
);

/// A relative change of a stock. `$1` sku, `$2` token, `$3` reason, `$4` delta, `$5` the largest
/// stock. Answers with the locked row's facts, and with the product as it is now if it fitted and was not
/// made before; no row when there is no such product.
pub(in crate::inventory::postgres) const ADJUST: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.retired, p.updated_at
        FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE),
    meant AS MATERIALIZED (
        SELECT k.sku, k.stock + $4 AS stock, k.reserved, k.version + 1 AS version, k.updated_at
        FROM locked k
        WHERE NOT k.retired AND k.stock + $4 >= k.reserved AND (k.stock + $4 <= $5 OR $4 < 0::bigint)
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $2)),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku
        RETURNING ",
    product!(),
    "),
    ",
    recorded!("3", "$4", "$2", "$3"),
    "
    SELECT ",
    product!(),
    ", k.stock AS old_stock, k.reserved AS old_reserved, k.retired AS old_retired, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM changed)";
        "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.stock = m.stock_after
                WHERE m.kind = 3 AND m.delta = $4 AND m.token = $2)
            = (SELECT pg_catalog.count(*) FROM meant)",
    ),
    " AS stored
    FROM locked k LEFT JOIN changed p ON p.sku = k.sku"
);

/// Pauses or resumes the sale of a product. `$1` sku, `$2` whether it is to be paused, `$3` kind, `$4` token.
/// Answers with the product, changed or not; no row when there is none.
pub(in crate::inventory::postgres) const PAUSE: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE),
    meant AS MATERIALIZED (
        SELECT k.sku, k.stock, k.reserved, k.version + 1 AS version, k.updated_at FROM locked k
        WHERE NOT k.retired AND k.paused <> $2
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $4)),
    changed AS (
        UPDATE optilock.products p
        SET paused = $2, stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku
        RETURNING ",
    product!(),
    "),
    ",
    recorded!("$3::smallint", "0::bigint", "$4", "NULL::text"),
    ",
    answer AS (
        SELECT ",
    product!(),
    " FROM changed p UNION ALL SELECT ",
    product!(),
    " FROM locked p WHERE NOT EXISTS (SELECT FROM changed))
    SELECT ",
    product!(),
    ", ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM changed)";
        "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version
                WHERE p.paused = $2)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.stock = m.stock_after
                WHERE m.kind = $3 AND m.delta = 0 AND m.token = $4)
            = (SELECT pg_catalog.count(*) FROM meant)",
    ),
    " AS stored
    FROM answer p"
);
