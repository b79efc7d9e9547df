//! Statements of products.
//!
//! What changes a product locks its row first, retired or not, and decides from that row: see `change!`.

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

/// `$1` sku.
pub(crate) const PRODUCT: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = $1::text AND NOT p.retired"
);

/// `$1` skus.
pub(crate) const PRODUCTS_OF: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = ANY ($1) AND NOT p.retired ORDER BY p.sku"
);

/// `$1` after, `$2` limit.
pub(crate) const PRODUCTS: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2"
);

/// Whether there is such a product, retired or not. `$1` sku.
pub(crate) const EXISTS: &str = "SELECT EXISTS (SELECT FROM optilock.products p WHERE p.sku = $1)";

/// The product that the change with this token made. `$1` token.
pub(crate) const CHANGED_BY: &str = concat!(
    "SELECT ",
    product!(),
    ", m.delta, m.kind FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1"
);

/// `$1` sku, `$2` name, `$3` price, `$4` currency, `$5` stock, `$6` token. Answers with one row: the product if
/// it was added, or a retired one taken up; else `old_retired` and `held` say why it was not. They are null when
/// another transaction added it, or when something swallowed the row.
pub(crate) const ADD: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.revision, p.retired, p.updated_at
        FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
    meant AS MATERIALIZED (
        SELECT k.sku, k.stock AS old_stock, k.reserved, k.version + 1 AS version, k.revision + 1 AS revision,
            k.updated_at
        FROM locked k WHERE k.retired AND k.reserved <= $5::bigint),
    new_product AS (
        INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
        SELECT $1::text, $2::text, $3::bigint, $4::text, $5::bigint WHERE NOT EXISTS (SELECT FROM locked)
        ON CONFLICT DO NOTHING RETURNING ",
    product!(),
    "),
    taken_up AS (
        UPDATE optilock.products p
        SET name = $2::text, price = $3::bigint, currency = $4::text, stock = $5::bigint, reserved = t.reserved, retired = false,
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
        "$6::uuid",
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
            AND (SELECT pg_catalog.count(*) FROM changed p WHERE p.name = $2::text AND p.price = $3::bigint
                AND p.currency = $4::text AND p.stock = $5::bigint AND NOT p.retired AND NOT p.paused)
            = (SELECT pg_catalog.count(*) FROM changed)
            AND (SELECT pg_catalog.count(*) FROM new_product p WHERE p.sku = $1::text AND p.version = 1
                AND p.revision = 1 AND p.reserved = 0)
            = (SELECT pg_catalog.count(*) FROM new_product)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN changed p ON p.sku = m.sku
                AND p.version = m.version AND p.stock = m.stock_after AND p.updated_at = m.moved_at
                WHERE m.kind = 8 AND m.token = $6::uuid
                AND m.delta = p.stock - coalesce((SELECT t.old_stock FROM meant t), 0::bigint))
            = (SELECT pg_catalog.count(*) FROM changed)",
    ),
    " AS stored, ",
    hidden!("k.sku", "$1::text"),
    " AS hidden
    FROM (VALUES ($1::text)) AS requested (sku) LEFT JOIN locked k ON k.sku = requested.sku
    LEFT JOIN changed p ON p.sku = requested.sku"
);

/// Changes a product that is not retired: `$fits` says of the locked row `k` whether it is to be changed, the
/// columns what they become, `$set` which of them are set beside the stock. Answers with one row: the product as
/// it was stored, or as it was locked if it was not changed; all of it null without such a product.
macro_rules! change {
    (
        fits: $fits:literal,
        name: $name:literal, price: $price:literal, currency: $currency:literal, stock: $stock:literal,
        revision: $revision:literal, retired: $retired:literal, paused: $paused:literal, set: $set:literal,
        kind: $kind:literal, token: $token:literal, reason: $reason:literal, facts: $facts:expr
    ) => {
        concat!(
            "WITH locked AS MATERIALIZED (
        SELECT ",
            product!(),
            " FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
    meant AS MATERIALIZED (
        SELECT k.sku, ",
            $name,
            " AS name, ",
            $price,
            " AS price, ",
            $currency,
            " AS currency, ",
            $stock,
            " AS stock, ",
            $stock,
            " - k.stock AS delta, k.reserved, k.version + 1 AS version, ",
            $revision,
            " AS revision, ",
            $retired,
            " AS retired, ",
            $paused,
            " AS paused, k.updated_at
        FROM locked k WHERE NOT k.retired AND ",
            $fits,
            "),
    changed AS (
        UPDATE optilock.products p
        SET ",
            $set,
            "stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku
        RETURNING ",
            product!(),
            "),
    ",
            recorded!($kind, "(SELECT t.delta FROM meant t)", $token, $reason),
            ",
    answer AS (
        SELECT ",
            product!(),
            ", true AS wrote FROM changed p UNION ALL SELECT ",
            product!(),
            ", false AS wrote FROM locked p WHERE NOT EXISTS (SELECT FROM changed))
    SELECT ",
            product!(),
            ", p.wrote, ",
            $facts,
            asserted!(
                "(SELECT pg_catalog.count(*) FROM changed)";
                "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.name = p.name AND t.price = p.price AND t.currency = p.currency AND t.stock = p.stock
                AND t.reserved = p.reserved AND t.version = p.version AND t.revision = p.revision
                AND t.retired = p.retired AND t.paused = p.paused)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "movements": concat!(
                    "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.stock = m.stock_after AND t.delta = m.delta
                WHERE m.kind = ", $kind, " AND m.token = ", $token, ")
            = (SELECT pg_catalog.count(*) FROM meant)"
                ),
            ),
            " AS stored, ",
            hidden!("p.sku", "$1::text"),
            " AS hidden
    FROM (VALUES ($1::text)) AS requested (sku) LEFT JOIN answer p ON p.sku = requested.sku"
        )
    };
}

/// `$1` sku, `$2` revision, `$3` name, `$4` price, `$5` currency, `$6` token.
pub(crate) const EDIT: &str = change! {
    fits: "k.revision = $2::bigint",
    name: "$3::text", price: "$4::bigint", currency: "$5::text", stock: "k.stock",
    revision: "k.revision + 1", retired: "k.retired", paused: "k.paused",
    set: "name = t.name, price = t.price, currency = t.currency, revision = t.revision, ",
    kind: "7::smallint", token: "$6::uuid", reason: "NULL::text", facts: ""
};

/// `$1` sku, `$2` version, `$3` token.
pub(crate) const RETIRE: &str = change! {
    fits: "k.version = $2::bigint",
    name: "k.name", price: "k.price", currency: "k.currency", stock: "k.stock",
    revision: "k.revision", retired: "true", paused: "k.paused",
    set: "retired = t.retired, ",
    kind: "9::smallint", token: "$3::uuid", reason: "NULL::text", facts: ""
};

/// `$1` sku, `$2` version, `$3` units counted, `$4` reason, `$5` token.
pub(crate) const COUNT: &str = change! {
    fits: "k.version = $2::bigint AND k.reserved <= $3::bigint",
    name: "k.name", price: "k.price", currency: "k.currency", stock: "$3::bigint",
    revision: "k.revision", retired: "k.retired", paused: "k.paused",
    set: "",
    kind: "6::smallint", token: "$5::uuid", reason: "$4::text", facts: ""
};

/// A relative change of a stock, unless it was made before. `$1` sku, `$2` token, `$3` reason, `$4` delta, `$5`
/// the largest stock. Answers with `expired` units, too, if it was not made.
pub(crate) const ADJUST: &str = change! {
    fits: "k.stock + $4::bigint >= k.reserved AND (k.stock + $4::bigint <= $5::bigint OR $4::bigint < 0::bigint)
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $2::uuid)",
    name: "k.name", price: "k.price", currency: "k.currency", stock: "k.stock + $4::bigint",
    revision: "k.revision", retired: "k.retired", paused: "k.paused",
    set: "",
    kind: "3::smallint", token: "$2::uuid", reason: "$3::text",
    facts: concat!(
        "CASE WHEN p.wrote OR p.retired OR $4::bigint > 0::bigint THEN 0::bigint ELSE ",
        expired!("p.sku", "greatest(- $4::bigint, 0::bigint)", ""),
        " END AS expired, "
    )
};

/// Pauses or resumes the sale of a product, unless it is so already or was made so before. `$1` sku, `$2` whether
/// it is to be paused, `$3` kind, `$4` token.
pub(crate) const PAUSE: &str = change! {
    fits: "k.paused <> $2::boolean
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $4::uuid)",
    name: "k.name", price: "k.price", currency: "k.currency", stock: "k.stock",
    revision: "k.revision", retired: "k.retired", paused: "$2::boolean",
    set: "paused = t.paused, ",
    kind: "$3::smallint", token: "$4::uuid", reason: "NULL::text", facts: ""
};
