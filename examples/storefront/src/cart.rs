//! The endpoints of the cart, which remembers the price that the shopper saw.

use axum::{Json, extract::State};
use optilock::{
    Version,
    inventory::{Inventory, Line, Money, Product, Quantity, Sku},
    sqlx::{self, PgPool},
};
use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Path},
    problem::Problem,
    shop::Shop,
    users::User,
};

/// A row of `storefront.cart_items`.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    sku: Sku,
    quantity: i64,
    price: i64,
    currency: String,
    version: Option<i64>,
}

/// An item of the cart.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
    /// The price when the item was put into the cart.
    pub(crate) price: Money,
    /// The version of the product that the client expects at the checkout.
    pub(crate) version: Option<Version>,
}

impl Item {
    /// Returns the line of a checkout, which fails if price or version have changed.
    pub(crate) fn line(&self) -> Line {
        let line = Line::new(self.sku.clone(), self.quantity).expecting_price(self.price);
        match self.version {
            Some(version) => line.expecting_version(version),
            None => line,
        }
    }
}

/// Returns the items of the customer, the oldest first.
pub(crate) async fn items(pool: &PgPool, customer: &str) -> Result<Vec<Item>, Problem> {
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

/// The cart with the current state of its products.
#[derive(Debug, Serialize)]
pub(crate) struct Cart {
    items: Vec<CartItem>,
    /// The sum at current prices. `None` if a product is gone or the currencies differ.
    total: Option<Money>,
    /// An item's price has changed, or its stock is short.
    changed: bool,
}

#[derive(Debug, Serialize)]
struct CartItem {
    sku: Sku,
    name: Option<String>,
    quantity: Quantity,
    price: Money,
    current_price: Option<Money>,
    available: i64,
    price_changed: bool,
    short: bool,
}

impl CartItem {
    fn new(item: Item, products: &[Product]) -> Self {
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

async fn current_cart(shop: &Shop, user: &User) -> Result<Json<Cart>, Problem> {
    let items = items(&shop.pool, &user.name).await?;
    let skus: Vec<Sku> = items.iter().map(|item| item.sku.clone()).collect();
    let products = shop.inventory.products_of(&skus).await?;
    let items: Vec<CartItem> = items
        .into_iter()
        .map(|item| CartItem::new(item, &products))
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

pub(crate) async fn show(State(shop): State<Shop>, user: User) -> Result<Json<Cart>, Problem> {
    current_cart(&shop, &user).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemBody {
    sku: Sku,
    quantity: Quantity,
    version: Option<Version>,
}

/// Sets the quantity of a product, at its current price. Repeating the request changes nothing.
pub(crate) async fn put(
    State(shop): State<Shop>,
    user: User,
    body::Json(body): body::Json<ItemBody>,
) -> Result<Json<Cart>, Problem> {
    let product = shop.inventory.product(&body.sku).await?;
    sqlx::query(
        "INSERT INTO storefront.cart_items (customer, sku, quantity, price, currency, version)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (customer, sku) DO UPDATE SET quantity = excluded.quantity,
             price = excluded.price, currency = excluded.currency, version = excluded.version",
    )
    .bind(&user.name)
    .bind(&body.sku)
    .bind(body.quantity.get())
    .bind(product.price.minor())
    .bind(product.price.currency().as_str())
    .bind(body.version.map(Version::get))
    .execute(&shop.pool)
    .await?;
    current_cart(&shop, &user).await
}

/// Removes a product. Succeeds if it is not in the cart.
pub(crate) async fn remove(
    State(shop): State<Shop>,
    user: User,
    Path(sku): Path<Sku>,
) -> Result<Json<Cart>, Problem> {
    sqlx::query("DELETE FROM storefront.cart_items WHERE customer = $1 AND sku = $2")
        .bind(&user.name)
        .bind(&sku)
        .execute(&shop.pool)
        .await?;
    current_cart(&shop, &user).await
}

pub(crate) async fn clear(State(shop): State<Shop>, user: User) -> Result<Json<Cart>, Problem> {
    sqlx::query("DELETE FROM storefront.cart_items WHERE customer = $1")
        .bind(&user.name)
        .execute(&shop.pool)
        .await?;
    current_cart(&shop, &user).await
}
