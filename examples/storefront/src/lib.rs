//! The shop without its program: what the tests open too.
#![allow(
    unreachable_pub,
    unnameable_types,
    missing_docs,
    reason = "mounted by the program and by the tests; nobody reads its docs but in here"
)]

mod assets;
mod body;
mod cart;
mod checkout;
pub mod database;
mod health;
mod layers;
mod orders;
mod problem;
mod products;
mod pulse;
mod race;
mod report;
mod reservations;
pub mod telemetry;
pub mod ticks;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get, post},
};
use optilock::{
    inventory::{BatchOptions, BatchedInventory, PgInventory},
    sqlx::PgPool,
};
use tokio::sync::{Semaphore, watch};

use layers::Limits;
use problem::Problem;
use pulse::Pulse;
use users::Users;

/// What every handler may use.
pub type Shop = Arc<App>;

#[derive(Debug)]
pub struct App {
    pub inventory: BatchedInventory,
    pool: PgPool,
    users: Users,
    limits: Limits,
    pulse: Pulse,
    /// The last tick of the dashboard, as JSON.
    ticks: watch::Sender<Arc<str>>,
    stopped: watch::Receiver<bool>,
    /// One race at a time.
    races: Semaphore,
}

impl App {
    /// On a database that was migrated. It makes the shop's own tables, and fills empty shelves.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn open(
        pool: PgPool,
        stopped: watch::Receiver<bool>,
    ) -> Result<Shop, Box<dyn std::error::Error>> {
        telemetry::metrics();
        let inventory = BatchedInventory::new(PgInventory::new(pool.clone()), BatchOptions::new());
        database::prepare(&pool, &inventory).await?;
        Ok(Arc::new(Self {
            inventory,
            pool,
            users: Users::demo(),
            limits: Limits::new(),
            pulse: Pulse::new(),
            ticks: watch::Sender::new("{}".into()),
            stopped,
            races: Semaphore::new(1),
        }))
    }
}

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
        .route("/reservations", post(reservations::hold))
        .route(
            "/reservations/{id}",
            get(reservations::one).delete(reservations::release),
        )
        .route("/reservations/{id}/extend", post(reservations::extend));
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
        .route("/problems/{code}", get(assets::problem))
        .route("/", get(assets::shop))
        .route("/dashboard", get(assets::dashboard))
        .route("/assets/{file}", get(assets::asset))
        .fallback(|| async { Problem::not_found("There is nothing at this address.") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    layers::around(router, shop)
}
