//! What somebody wants, and at which price he saw it.

use axum::{Json, extract::State};
use optilock::{
    Version,
    inventory::{Inventory, Line, Money, Product, Quantity, Sku},
    sqlx::{self, PgPool},
};
use serde::{Deserialize, Serialize};

use super::{
    Shop,
    body::{self, Path},
    problem::Problem,
    users::User,
};

/// A row of the shop's own table.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    sku: Sku,
    quantity: i64,
    price: i64,
    currency: String,
    version: Option<i64>,
}

/// Something that is in the cart.
#[derive(Debug)]
pub struct Item {
    pub sku: Sku,
    pub quantity: Quantity,
    /// As it was when he put it in.
    pub price: Money,
    /// Of the product, if he insists that nothing of it changed.
    pub version: Option<Version>,
}

impl Item {
    /// To be bought as it was seen.
    pub fn line(&self) -> Line {
        let line = Line::new(self.sku.clone(), self.quantity).expecting_price(self.price);
        match self.version {
            Some(version) => line.expecting_version(version),
            None => line,
        }
    }
}

pub async fn items(pool: &PgPool, customer: &str) -> Result<Vec<Item>, Problem> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT sku, quantity, price, currency, version FROM storefront.cart_items
         WHERE customer = $1 ORDER BY added_at, sku",
    )
    .bind(customer)
    .fetch_all(pool)
    .await?;
    let item = |row: Row| {
        Ok(Item {
            sku: row.sku,
            quantity: Quantity::new(row.quantity)?,
            price: Money::new(row.price, row.currency.parse()?)?,
            version: row.version.and_then(Version::new),
        })
    };
    rows.into_iter().map(item).collect()
}

/// The cart beside the shelves.
#[derive(Debug, Serialize)]
pub struct Cart {
    items: Vec<Shown>,
    /// At the prices of today; `null` where there is none, or several currencies.
    total: Option<Money>,
    /// Something is not as it was put in.
    changed: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    sku: Sku,
    name: Option<String>,
    quantity: Quantity,
    price: Money,
    current_price: Option<Money>,
    available: i64,
    price_changed: bool,
    short: bool,
}

impl Shown {
    fn beside(item: Item, products: &[Product]) -> Self {
        let product = products.iter().find(|product| product.sku == item.sku);
        let available = product.map_or(0, Product::available);
        let current_price = product.map(|product| product.price);
        Self {
            name: product.map(|product| product.name.clone()),
            price_changed: current_price.is_some_and(|price| price != item.price),
            short: available < item.quantity.get(),
            sku: item.sku,
            quantity: item.quantity,
            price: item.price,
            current_price,
            available,
        }
    }
}

async fn cart(shop: &Shop, user: &User) -> Result<Json<Cart>, Problem> {
    let items = items(&shop.pool, &user.name).await?;
    let skus: Vec<Sku> = items.iter().map(|item| item.sku.clone()).collect();
    let products = shop.inventory.products_of(&skus).await?;
    let items: Vec<Shown> = items
        .into_iter()
        .map(|item| Shown::beside(item, &products))
        .collect();
    let prices = items
        .iter()
        .map(|item| item.current_price?.times(item.quantity));
    let total = prices.reduce(|sum, price| sum?.plus(price?)).flatten();
    let changed = items.iter().any(|item| item.price_changed || item.short);
    Ok(Json(Cart {
        items,
        total,
        changed,
    }))
}

pub async fn show(State(shop): State<Shop>, user: User) -> Result<Json<Cart>, Problem> {
    cart(&shop, &user).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    sku: Sku,
    quantity: Quantity,
    version: Option<Version>,
}

/// So many of it from now on, at the price of today. Twice is as good as once.
pub async fn put(
    State(shop): State<Shop>,
    user: User,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Json<Cart>, Problem> {
    let product = shop.inventory.product(&wanted.sku).await?;
    sqlx::query(
        "INSERT INTO storefront.cart_items (customer, sku, quantity, price, currency, version)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (customer, sku) DO UPDATE SET quantity = excluded.quantity,
             price = excluded.price, currency = excluded.currency, version = excluded.version",
    )
    .bind(&user.name)
    .bind(&wanted.sku)
    .bind(wanted.quantity.get())
    .bind(product.price.minor())
    .bind(product.price.currency().as_str())
    .bind(wanted.version.map(Version::get))
    .execute(&shop.pool)
    .await?;
    cart(&shop, &user).await
}

pub async fn remove(
    State(shop): State<Shop>,
    user: User,
    Path(sku): Path<Sku>,
) -> Result<Json<Cart>, Problem> {
    sqlx::query("DELETE FROM storefront.cart_items WHERE customer = $1 AND sku = $2")
        .bind(&user.name)
        .bind(&sku)
        .execute(&shop.pool)
        .await?;
    cart(&shop, &user).await
}

pub async fn clear(State(shop): State<Shop>, user: User) -> Result<Json<Cart>, Problem> {
    sqlx::query("DELETE FROM storefront.cart_items WHERE customer = $1")
        .bind(&user.name)
        .execute(&shop.pool)
        .await?;
    cart(&shop, &user).await
}
