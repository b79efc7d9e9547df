//! What is sold.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::{
    IfMatch,
    inventory::{Adjustment, Error, Inventory, Money, Page, Product, Sku},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Shop,
    body::{self, Path, Query},
    problem::Problem,
    race,
    users::Admin,
};

/// It changes with whatever is shown: the revision counts changes of name and price, the version all of
/// them, each sale too.
fn etag(product: &Product) -> String {
    format!("\"{}-{}\"", product.revision, product.version)
}

/// Of the tags in an `If-Match`, the revisions: a sale changes nothing that `PUT` writes, and must not
/// be in its way.
fn if_match(header: &str) -> Result<IfMatch, Problem> {
    let tags = header.split(',').map(|tag| match tag.split_once('-') {
        Some((revision, _)) => format!("{revision}\""),
        None => tag.to_owned(),
    });
    let tags = tags.collect::<Vec<_>>().join(",");
    tags.parse()
        .map_err(|_| Problem::invalid("If-Match: the ETag of the product that you changed"))
}

fn shown(product: Product) -> Response {
    // A browser may keep it, and asks each time whether it still is so.
    let headers = [
        (header::ETAG, etag(&product)),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, Json(product)).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    after: Option<Sku>,
    limit: Option<u32>,
}

pub async fn list(
    State(shop): State<Shop>,
    Query(Wanted { after, limit }): Query<Wanted>,
) -> Result<Json<Vec<Product>>, Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit: 1 to 100"));
    }
    let mut products = shop.inventory.products(Page { after, limit }).await?;
    products.retain(|product| !race::is_prize(&product.sku));
    Ok(Json(products))
}

pub async fn one(
    State(shop): State<Shop>,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let product = shop.inventory.product(&sku).await?;
    let tag = etag(&product);
    let held = headers.get(header::IF_NONE_MATCH);
    let held = held
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    // Compared weakly, as a proxy that compresses makes a weak one of it.
    let mut held = held
        .split(',')
        .map(|held| held.trim().trim_start_matches("W/"));
    if held.any(|held| held == tag || held == "*") {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(shown(product))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    name: String,
    price: Money,
}

pub async fn change(
    State(shop): State<Shop>,
    _: Admin,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
    body::Json(change): body::Json<Change>,
) -> Result<Response, Problem> {
    let Some(header) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "Which one did you change?",
            "Read the product first, and send its ETag as If-Match.",
        ));
    };
    let if_match = if_match(header.to_str().unwrap_or_default())?;
    let mut product = shop.inventory.product(&sku).await?;
    if_match
        .check(product.revision)
        .map_err(|_| stale(&product))?;
    (product.name, product.price) = (change.name, change.price);
    // At the revision that was just read, and at no other.
    match shop.inventory.update_product(&product).await {
        Ok(product) => Ok(shown(product)),
        Err(Error::Conflict(_)) => Err(stale(&shop.inventory.product(&sku).await?)),
        Err(error) => Err(error.into()),
    }
}

fn stale(current: &Product) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        "Somebody else changed it",
        "This is how it is now: look at it, and send its ETag if you still want your change.",
    )
    .with("current", current)
    .with_header(header::ETAG, &etag(current))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    delta: i64,
    reason: String,
}

/// A delivery, or a loss. With an Idempotency-Key it is counted once.
pub async fn adjust(
    State(shop): State<Shop>,
    _: Admin,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
    body::Json(delivery): body::Json<Delivery>,
) -> Result<Response, Problem> {
    let mut adjustment = Adjustment::new(sku, delivery.delta, delivery.reason)?;
    if let Some(key) = body::idempotency_key(&headers)? {
        let id: Uuid = key
            .parse()
            .map_err(|_| Problem::invalid("Idempotency-Key: a UUID"))?;
        adjustment = adjustment.with_id(id);
    }
    Ok(shown(shop.inventory.adjust_stock(adjustment).await?))
}
