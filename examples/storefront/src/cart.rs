//! The endpoints of the cart, which remembers the price that the shopper saw.
//!
//! Each answer has the cart's version as its `ETag`. A change with `If-Match` is made to that cart or to none.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use optilock::{
    ETag, Version,
    inventory::{Checkout, Inventory, Money, Product, Quantity, Sku},
};
use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Path},
    carts::{Cart, Item, NotChanged},
    if_match::CartVersions,
    problem::Problem,
    product_names,
    shop::Shop,
    users::User,
};

/// The cart with the current state of its products.
#[derive(Debug, Serialize)]
pub(crate) struct CartView {
    version: Version,
    items: Vec<ItemView>,
    /// The sum at current prices. `None` if a product is gone or the currencies differ.
    total: Option<Money>,
    /// An item's price has changed, or its stock is short.
    changed: bool,
}

#[derive(Debug, Serialize)]
struct ItemView {
    sku: Sku,
    name: Option<String>,
    quantity: Quantity,
    price: Money,
    current_price: Option<Money>,
    available: i64,
    price_changed: bool,
    short: bool,
}

impl ItemView {
    fn new(item: &Item, products: &[Product]) -> Self {
        let product = products.iter().find(|product| product.sku == item.sku);
        let available = product.map_or(0, Product::available);
        let current_price = product.map(|product| product.price);
        Self {
            name: product.map(|product| product.name.clone()),
            price_changed: current_price.is_some_and(|price| price != item.price),
            short: available < item.quantity.get(),
            sku: item.sku.clone(),
            quantity: item.quantity,
            price: item.price,
            current_price,
            available,
        }
    }
}

impl CartView {
    async fn of(shop: &Shop, cart: &Cart) -> Result<Self, Problem> {
        let skus: Vec<Sku> = cart.items().iter().map(|item| item.sku.clone()).collect();
        let mut products = shop.inventory.products_of(&skus).await?;
        product_names::translate(&shop.pool, &mut products).await?;
        let items = cart.items().iter();
        let items: Vec<ItemView> = items.map(|item| ItemView::new(item, &products)).collect();
        let prices = items
            .iter()
            .map(|item| item.current_price?.times(item.quantity));
        let total = prices.reduce(|sum, price| sum?.plus(price?)).flatten();
        let changed = items.iter().any(|item| item.price_changed || item.short);
        Ok(Self {
            version: cart.version,
            items,
            total,
            changed,
        })
    }
}

/// Returns the problem of a client that has read another version of the cart. It has the cart as it is now.
pub(crate) async fn stale(shop: &Shop, versions: &CartVersions, cart: &Cart) -> Problem {
    let current = match CartView::of(shop, cart).await {
        Ok(current) => current,
        Err(problem) => return problem,
    };
    Problem::stale_cart(versions.0.is_some())
        .with("current", current)
        .with_header(header::ETAG, &cart.version.etag())
}

async fn respond(shop: &Shop, cart: &Cart) -> Result<Response, Problem> {
    let view = CartView::of(shop, cart).await?;
    Ok((ETag(cart.version), Json(view)).into_response())
}

pub(crate) async fn show(State(shop): State<Shop>, user: User) -> Result<Response, Problem> {
    respond(&shop, &shop.carts.of(&user.name).await?).await
}

async fn change(
    shop: &Shop,
    user: &User,
    versions: &CartVersions,
    change: impl Fn(&mut Cart) -> Result<(), NotChanged> + Send + Sync,
) -> Result<Response, Problem> {
    let changed = shop.carts.change(&user.name, versions.0.as_ref(), change);
    match changed.await {
        Ok(cart) => respond(shop, &cart).await,
        Err(NotChanged::Same(cart)) => respond(shop, &cart).await,
        Err(NotChanged::Stale(cart)) => Err(stale(shop, versions, &cart).await),
        Err(NotChanged::Full) => {
            let most = Checkout::MAX_LINES;
            Err(Problem::invalid(format!(
                "A cart has at most {most} items."
            )))
        }
        Err(NotChanged::Unknown) => Err(Problem::unknown_outcome()),
        Err(NotChanged::Failed(error)) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemBody {
    sku: Sku,
    quantity: Quantity,
    version: Option<Version>,
}

/// Sets the quantity of a product, at its current price.
pub(crate) async fn put(
    State(shop): State<Shop>,
    user: User,
    versions: CartVersions,
    body::Json(body): body::Json<ItemBody>,
) -> Result<Response, Problem> {
    let product = shop.inventory.product(&body.sku).await?;
    let item = Item {
        sku: body.sku,
        quantity: body.quantity,
        price: product.price,
        version: body.version,
    };
    change(&shop, &user, &versions, |cart| cart.put(&item)).await
}

/// Removes a product. Succeeds if it is not in the cart.
pub(crate) async fn remove(
    State(shop): State<Shop>,
    user: User,
    versions: CartVersions,
    Path(sku): Path<Sku>,
) -> Result<Response, Problem> {
    let removed = |cart: &mut Cart| {
        cart.remove(&sku);
        Ok(())
    };
    change(&shop, &user, &versions, removed).await
}

pub(crate) async fn clear(
    State(shop): State<Shop>,
    user: User,
    versions: CartVersions,
) -> Result<Response, Problem> {
    let cleared = |cart: &mut Cart| {
        cart.clear();
        Ok(())
    };
    change(&shop, &user, &versions, cleared).await
}
