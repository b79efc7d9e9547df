//! The products and accounts that the requests are about.

use optilock::{
    Version,
    inventory::{Error, Inventory, Money, NewProduct, Quantity, Sku, Stock},
    sqlx::{self, PgPool},
    versioned_row,
};

/// The first one is in most carts.
pub(crate) const PRODUCTS: [&str; 8] = [
    "clay-pot", "mug", "jug", "plate", "bowl", "vase", "tile", "lamp",
];

/// The initial stock of each product. Deliveries add to it.
const STOCK: i64 = 200;

/// The number of accounts, from 1 on.
pub(crate) const ACCOUNTS: i64 = 12;

/// The initial balance of each account.
pub(crate) const CENTS: i64 = 1_000_000;

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) cents: i64,
    pub(crate) version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account",
    id: id: i64,
    version: version,
    columns: [cents],
} }

const BANK: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (
        id      bigint PRIMARY KEY,
        cents   bigint NOT NULL CHECK (cents >= 0),
        version bigint NOT NULL DEFAULT 1
    ) WITH (fillfactor = 50);
    CREATE TABLE bank.transfers (id uuid PRIMARY KEY)";

/// Creates the accounts, and the products in this inventory.
pub(crate) async fn create(pool: &PgPool, shop: &dyn Inventory) -> Result<(), Error> {
    sqlx::raw_sql(BANK).execute(pool).await?;
    let accounts =
        "INSERT INTO bank.accounts (id, cents) SELECT id, $2 FROM generate_series(1, $1) AS id";
    sqlx::query(accounts)
        .bind(ACCOUNTS)
        .bind(CENTS)
        .execute(pool)
        .await?;
    for name in PRODUCTS {
        let price = Money::new(47_000, "MXN".parse()?)?;
        let new = NewProduct::new(sku(name)?, name, price).with_stock(Stock::new(STOCK)?);
        shop.add_product(new).await?;
    }
    Ok(())
}

pub(crate) fn sku(name: &str) -> Result<Sku, Error> {
    Ok(Sku::new(name)?)
}

pub(crate) fn units(count: i64) -> Result<Quantity, Error> {
    Ok(Quantity::new(count)?)
}
