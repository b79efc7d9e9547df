//! A small shop: an API, a page for shoppers and a dashboard, as a library for the program and for tests.
//!
//! [`App::open`] opens the shop on a database, [`serve`] serves it, [`ticks::run`] feeds the dashboard.

mod address;
mod assets;
mod auth;
mod body;
mod cart;
mod carts;
mod checkout;
mod countries;
pub mod database;
mod deliveries;
mod etag;
mod health;
mod http;
mod if_match;
mod language;
mod layers;
mod limits;
mod names;
mod orders;
mod placed_order;
mod problem;
mod problem_codes;
mod problem_pages;
mod product_names;
mod products;
mod pulse;
mod race;
mod report;
mod request_id;
mod reservations;
mod running;
mod sale;
mod settings;
mod shop;
mod stream;
pub mod telemetry;
pub mod ticks;
mod users;

use axum::{
    Router,
    middleware::from_fn,
    routing::{delete, get, post},
};

pub use address::Address;
use tower_http::compression::CompressionLayer;

pub use http::serve;
use problem::Problem;
pub use sale::Purchase;
pub use settings::Settings;
pub use shop::{App, Shop};

/// Returns the routes of the shop.
pub fn router(shop: Shop) -> Router {
    let marketplace = Router::new()
        .route("/products", get(products::list))
        .route("/products/{sku}", get(products::one).put(products::change))
        .route("/products/{sku}/stock", post(products::adjust))
        .route(
            "/cart/items",
            get(cart::show).post(cart::put).delete(cart::clear),
        )
        .route("/cart/items/{sku}", delete(cart::remove))
        .route("/checkout", post(checkout::buy))
        .route("/orders", get(orders::list))
        .route("/orders/{id}", get(orders::one))
        .route("/orders/{id}/pay", post(orders::pay))
        .route("/orders/{id}/fail", post(orders::fail))
        .route("/orders/{id}/cancel", post(orders::cancel))
        .route("/reservations", post(reservations::reserve))
        .route(
            "/reservations/{id}",
            get(reservations::one).delete(reservations::release),
        )
        .route("/reservations/{id}/extend", post(reservations::extend))
        .layer(from_fn(names::answer));
    let router = Router::new()
        .nest("/api/marketplace", marketplace)
        .route("/api/demo/users", get(users::demo))
        .route("/api/report", get(report::report))
        .route("/api/dashboard/events", get(ticks::events))
        .route("/api/race", post(race::start))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(telemetry::expose))
        .route("/openapi.json", get(assets::openapi))
        .route("/problems/{code}", get(problem_pages::page))
        .merge(pages())
        .fallback(|| async { Problem::not_found("No resource has this address.") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    layers::around(router, shop)
}

/// The pages and their files, which are compressed. An answer of the API is not: its `ETag` names its very bytes.
fn pages() -> Router<Shop> {
    Router::new()
        .route("/", get(assets::shop))
        .route("/dashboard", get(assets::dashboard))
        .route("/assets/{file}", get(assets::asset))
        .layer(CompressionLayer::new())
}
