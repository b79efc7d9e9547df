//! The database, and the tables that the shop keeps in it beside those of the inventory.

use optilock::{
    inventory::{Inventory, Money, NewProduct, Page, Sku, Stock},
    sqlx::{self, AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions},
};

use crate::{language::Language, product_names};

/// Name of the shop's database.
pub const NAME: &str = "optilock_storefront";

/// The schema of the inventory and of the shop's own tables.
pub const SCHEMA: &str = "storefront";

/// Carts and deliveries. Money is stored as in the inventory: minor units and a currency.
const TABLES: &str = include_str!("tables.sql");

/// SKU, name in English and in Spanish, price in centavos, stock.
const GOODS: [(&str, &str, &str, i64, i64); 6] = [
    (
        "alebrije",
        "Alebrije, a fox with wings",
        "Alebrije, zorro con alas",
        189_000,
        3,
    ),
    ("basket", "Palm basket", "Canasta de palma", 32_000, 40),
    (
        "black-vase",
        "Black clay vase",
        "Florero de barro negro",
        64_000,
        8,
    ),
    ("clay-pot", "Clay pot", "Olla de barro", 45_000, 100),
    ("mezcal-cup", "Mezcal cup", "Copa para mezcal", 9_500, 60),
    (
        "rug",
        "Wool rug from Teotitlán",
        "Tapete de lana de Teotitlán",
        540_000,
        1,
    ),
];

/// Creates the database unless it already exists.
///
/// # Errors
///
/// Returns the error of the connection or of a statement.
pub async fn create(server: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut conn = PgConnection::connect_with(server).await?;
    let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(NAME);
    if found.fetch_optional(&mut conn).await?.is_none() {
        let create = AssertSqlSafe(format!("CREATE DATABASE {NAME}"));
        sqlx::raw_sql(create).execute(&mut conn).await?;
    }
    conn.close().await
}

/// Creates the missing tables. If there are no products, adds those of the example.
pub(crate) async fn prepare(
    pool: &PgPool,
    inventory: &impl Inventory,
) -> Result<(), Box<dyn std::error::Error>> {
    sqlx::raw_sql(TABLES).execute(pool).await?;
    if inventory.products(Page::first(1)).await?.is_empty() {
        for (sku, name, spanish, price, stock) in GOODS {
            let mut conn = pool.acquire().await?;
            product_names::set(&mut conn, sku, Language::Spanish, spanish).await?;
            let price = Money::new(price, "MXN".parse()?)?;
            let product = NewProduct::new(Sku::new(sku)?, name, price);
            inventory
                .add_product(product.with_stock(Stock::new(stock)?))
                .await?;
        }
    }
    Ok(())
}
