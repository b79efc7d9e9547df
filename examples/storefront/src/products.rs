//! The endpoints of products.

use std::slice;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use optilock::{
    IfMatch, RetryPolicy,
    inventory::{Adjustment, Error, ErrorKind, Inventory, Money, Page, Product, Sku},
    postgres::{Tx, transact},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    auth::Admin,
    body::{self, Path, Query},
    etag,
    language::Language,
    problem::Problem,
    product_names,
    shop::Shop,
};

/// Returns the ETag, which changes with every shown value: the revision counts changes of name and price, the
/// version counts all changes, sales included.
fn tag_of(product: &Product) -> String {
    let (revision, version) = (product.revision, product.version);
    match Language::current() {
        Language::English => format!("\"{revision}-{version}\""),
        other => format!("\"{revision}-{version}-{}\"", other.tag()),
    }
}

/// Parses the revisions of the ETags in an `If-Match`. The versions are ignored: a sale changes nothing that
/// `PUT` writes, so it must not refuse the `PUT`.
fn if_match(header: &str) -> Result<IfMatch, Problem> {
    let tags = header.split(',').map(|tag| match tag.split_once('-') {
        Some((revision, _)) => format!("{revision}\""),
        None => tag.to_owned(),
    });
    let tags = tags.collect::<Vec<_>>().join(",");
    tags.parse()
        .map_err(|_| Problem::invalid("If-Match: the ETag of the product that you changed"))
}

/// Returns the product in the language of the request.
async fn translated(shop: &Shop, mut product: Product) -> Result<Product, Problem> {
    product_names::translate(&shop.pool, slice::from_mut(&mut product)).await?;
    Ok(product)
}

async fn respond(shop: &Shop, product: Product) -> Result<Response, Problem> {
    let product = translated(shop, product).await?;
    // A browser may keep the response, but must revalidate it.
    let headers = [
        (header::ETAG, tag_of(&product)),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, Json(product)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductsQuery {
    after: Option<Sku>,
    limit: Option<u32>,
}

pub(crate) async fn list(
    State(shop): State<Shop>,
    Query(ProductsQuery { after, limit }): Query<ProductsQuery>,
) -> Result<Json<Vec<Product>>, Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit: 1 to 100"));
    }
    let mut products = shop.inventory.products(Page { after, limit }).await?;
    product_names::translate(&shop.pool, &mut products).await?;
    Ok(Json(products))
}

pub(crate) async fn one(
    State(shop): State<Shop>,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let product = shop.inventory.product(&sku).await?;
    let tag = tag_of(&product);
    if etag::is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    respond(&shop, product).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductBody {
    name: String,
    price: Money,
}

/// Changes name and price of the product that the client has read. The name is that of the request's language.
pub(crate) async fn change(
    State(shop): State<Shop>,
    _: Admin,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
    body::Json(body): body::Json<ProductBody>,
) -> Result<Response, Problem> {
    let headers: Vec<&HeaderValue> = headers.get_all(header::IF_MATCH).iter().collect();
    if headers.is_empty() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "Precondition required",
            "Read the product first, and send its ETag as If-Match.",
        ));
    }
    // Several headers are one list (RFC 9110, section 5.3).
    let tags: Vec<&str> = headers
        .iter()
        .filter_map(|header| header.to_str().ok())
        .collect();
    let if_match = if_match(&tags.join(","))?;
    let mut product = shop.inventory.product(&sku).await?;
    if if_match.check(product.revision).is_err() {
        return Err(stale(&shop, product).await);
    }
    product.price = body.price;
    let language = Language::current();
    if language == Language::English {
        product.name.clone_from(&body.name);
    }
    // The update fails if the revision is no longer the one read above.
    let update = async |tx: &mut Tx<'_>| {
        let inventory = shop.inventory.inventory();
        let product = inventory.update_product_in(tx, &product).await?;
        if language != Language::English {
            product_names::set(tx, sku.as_str(), language, &body.name).await?;
        }
        Ok::<_, Error>(product)
    };
    let updated = transact(&shop.pool, &RetryPolicy::new(), update).await;
    match updated.map_err(Error::from) {
        Ok(product) => respond(&shop, product).await,
        Err(error) if error.kind() == ErrorKind::Conflict => {
            Err(stale(&shop, shop.inventory.product(&sku).await?).await)
        }
        Err(error) => Err(error.into()),
    }
}

async fn stale(shop: &Shop, current: Product) -> Problem {
    let current = match translated(shop, current).await {
        Ok(current) => current,
        Err(problem) => return problem,
    };
    let tag = tag_of(&current);
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        "The product has changed",
        "current is the state now. To change it all the same, send its ETag as If-Match.",
    )
    .with("current", current)
    .with_header(header::ETAG, &tag)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StockAdjustment {
    delta: i64,
    reason: String,
}

/// Adds a delivery to the stock, or removes a loss. A repeated `Idempotency-Key` changes nothing.
pub(crate) async fn adjust(
    State(shop): State<Shop>,
    _: Admin,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
    body::Json(body): body::Json<StockAdjustment>,
) -> Result<Response, Problem> {
    let mut adjustment = Adjustment::new(sku, body.delta, body.reason)?;
    if let Some(key) = body::idempotency_key(&headers)? {
        let id: Uuid = key
            .parse()
            .map_err(|_| Problem::invalid("Idempotency-Key: a UUID"))?;
        adjustment = adjustment.with_id(id);
    }
    let product = shop.inventory.adjust_stock(adjustment).await?;
    respond(&shop, product).await
}
