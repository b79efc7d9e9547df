//! Statements of products.

macro_rules! product {
    () => {
        "p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
            p.paused, p.created_at, p.updated_at"
    };
}

/// `$1` skus.
pub(in crate::inventory::postgres) const PRODUCTS_OF: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku"
);

/// `$1` after, `$2` limit.
pub(in crate::inventory::postgres) const PRODUCTS: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2"
);

/// The product that the change with this token made. `$1` token.
pub(in crate::inventory::postgres) const CHANGED_BY: &str = concat!(
    "SELECT ",
    product!(),
    ", m.delta, m.kind FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1"
);

/// `$1` sku, `$2` name, `$3` price, `$4` currency, `$5` stock, `$6` token. One row when it was added
/// or a retired one taken up, or when reservations hold more than `$5`; `held` tells.
pub(in crate::inventory::postgres) const ADD: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version, revision FROM optilock.products
        WHERE sku = $1 AND retired FOR NO KEY UPDATE),
    i AS (
        INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
        SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM k)
        ON CONFLICT DO NOTHING RETURNING ",
    product!(),
    ", p.stock AS delta),
    u AS (
        UPDATE optilock.products p
        SET name = $2, price = $3, currency = $4, stock = $5, reserved = k.reserved, retired = false,
            version = k.version + 1, revision = k.revision + 1, updated_at = statement_timestamp()
        FROM k WHERE p.sku = k.sku AND k.reserved <= $5 RETURNING ",
    product!(),
    ", p.stock - k.stock AS delta),
    w AS (SELECT * FROM i UNION ALL SELECT * FROM u),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token)
        SELECT sku, version, 8, delta, stock, $6 FROM w)
    SELECT w.*, k.reserved AS held FROM w FULL JOIN k ON k.sku = w.sku"
);

/// A change of a product without an order. `$1` sku, `$2` version, `$3` kind, `$4` stock after, `$5`
/// delta, `$6` token, `$7` reason?
pub(in crate::inventory::postgres) const RECORD: &str =
    "INSERT INTO optilock.movements (sku, version, kind, stock_after, delta, token, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// A relative change of a stock. `$1` sku, `$2` token, `$3` reason, `$4` delta, `$5` the largest
/// stock. Answers with the locked row's facts, and with the product as it is now if it fitted; no row
/// when it is not sold.
pub(in crate::inventory::postgres) const ADJUST: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = $1 AND NOT retired FOR NO KEY UPDATE),
    u AS (
        UPDATE optilock.products p
        SET stock = k.stock + $4, reserved = k.reserved, version = k.version + 1,
            updated_at = statement_timestamp()
        FROM k WHERE p.sku = k.sku AND k.stock + $4 >= k.reserved AND k.stock + $4 <= $5
            AND NOT EXISTS (SELECT FROM optilock.movements WHERE token = $2)
        RETURNING ",
    product!(),
    "),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason)
        SELECT sku, version, 3, $4, stock, $2, $3 FROM u)
    SELECT u.*, k.stock AS old_stock, k.reserved AS old_reserved FROM k LEFT JOIN u ON u.sku = k.sku"
);
