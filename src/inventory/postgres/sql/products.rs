//! Statements of products.
//!
//! A change of a product locks its row first, retired or not, and decides from that row: see [`RETIRE`].

super::statement::statements! {
    pub(crate) const PRODUCT = "../products/product.sql";
    pub(crate) const PRODUCTS_OF = "../products/products_of.sql";
    pub(crate) const PRODUCTS = "../products/products.sql";
    pub(crate) const EXISTS = "../products/exists.sql";
    pub(crate) const CHANGED_BY = "../products/changed_by.sql";
    pub(crate) const TOKEN_ARCHIVED = "../products/token_archived.sql";
    pub(crate) const ADD = "../products/add.sql";
    pub(crate) const ADD_MANY = "../products/add_many.sql";
    pub(crate) const ADDED_BY = "../products/added_by.sql";
    pub(crate) const RETIRE = "../products/retire.sql";

    /// Edits a product. `$1` SKU, `$2` the revision that it must be at, `$3` name, `$4` price, `$5` currency,
    /// `$6` token. Answers as [`RETIRE`].
    pub(crate) const EDIT = "../products/retire.sql" {
        "k.version = $2::bigint /* condition */" => "k.revision = $2::bigint",
        "k.name /* name */" => "$3::text",
        "k.price /* price */" => "$4::bigint",
        "k.currency /* currency */" => "$5::text",
        "k.revision /* revision */" => "k.revision + 1",
        "true /* retired */" => "k.retired",
        "retired = t.retired, /* set */" =>
            "name = t.name, price = t.price, currency = t.currency, revision = t.revision,",
        "9 /* retired */" => "7 /* edit */",
        "$3::uuid /* token */" => "$6::uuid",
    };

    /// Sets the stock of a product to a count. `$1` SKU, `$2` the version that it must be at, `$3` units,
    /// `$4` reason, `$5` token. Answers as [`RETIRE`].
    pub(crate) const COUNT = "../products/retire.sql" {
        "k.version = $2::bigint /* condition */" => "k.version = $2::bigint AND k.reserved <= $3::bigint",
        "k.stock /* stock */" => "$3::bigint",
        "true /* retired */" => "k.retired",
        "retired = t.retired, /* set */" => "",
        "9 /* retired */" => "6 /* count */",
        "$3::uuid /* token */" => "$5::uuid",
        "NULL::text /* reason */" => "$4::text",
    };

    /// Changes the stock of a product by an amount, unless the change was made before. `$1` SKU, `$2` token,
    /// `$3` reason, `$4` delta, `$5` the largest stock. Answers as [`RETIRE`]; if it was not made, `expired` are
    /// the units in expired holds.
    pub(crate) const ADJUST = "../products/retire.sql" {
        "k.version = $2::bigint /* condition */" =>
            "k.stock + $4::bigint >= k.reserved AND (k.stock + $4::bigint <= $5::bigint OR $4::bigint < 0::bigint)
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $2::uuid)
            AND NOT EXISTS (SELECT FROM optilock.archived_tokens t WHERE t.token = $2::uuid)",
        "k.stock /* stock */" => "k.stock + $4::bigint",
        "true /* retired */" => "k.retired",
        "retired = t.retired, /* set */" => "",
        "9 /* retired */" => "3 /* adjustment */",
        "$3::uuid /* token */" => "$2::uuid",
        "NULL::text /* reason */" => "$3::text",
        "/* facts */" =>
            "CASE WHEN p.wrote OR p.retired OR $4::bigint > 0::bigint THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = p.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT greatest(- $4::bigint, 0::bigint)) e)
        END AS expired,",
    };

    /// Pauses or resumes the sale of a product, unless it is in that state or the change was made before.
    /// `$1` SKU, `$2` whether it is to be paused, `$3` kind, `$4` token. Answers as [`RETIRE`].
    pub(crate) const PAUSE = "../products/retire.sql" {
        "k.version = $2::bigint /* condition */" =>
            "k.paused <> $2::boolean
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $4::uuid)",
        "true /* retired */" => "k.retired",
        "k.paused /* paused */" => "$2::boolean",
        "retired = t.retired, /* set */" => "paused = t.paused,",
        "9 /* retired */" => "$3",
        "$3::uuid /* token */" => "$4::uuid",
    };
}
