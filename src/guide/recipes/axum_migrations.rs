use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use optilock::{
    inventory::{Error, Inventory, PgInventory, Sku},
    sqlx::{self, PgPool, migrate::Migrator},
};

#[derive(Clone, Debug)]
struct App {
    pool: PgPool,
    shop: PgInventory,
}

/// Brings both schemas up to date and returns the app. An error has to end the process.
pub async fn app(
    pool: PgPool,
    own: &Migrator,
) -> Result<Router, Box<dyn std::error::Error + Send + Sync>> {
    // First, as the app's tables refer to those of the inventory.
    optilock::migrate(&pool).await?;
    own.run(&pool).await?;
    let shop = PgInventory::new(pool.clone());
    let routes = Router::new().route("/shelves/{sku}", get(shelf));
    Ok(routes.with_state(App { pool, shop }))
}

/// Answers where a product is and how many there are: from a table of the app, and from the inventory.
// A `Sku` in a path needs the feature `serde` of optilock.
async fn shelf(State(app): State<App>, Path(sku): Path<Sku>) -> Result<String, Failure> {
    let product = app.shop.product(&sku).await?;
    let shelf: Option<String> = sqlx::query_scalar("SELECT shelf FROM shelves WHERE sku = $1")
        .bind(sku.as_str())
        .fetch_optional(&app.pool)
        .await?;
    let shelf = shelf.as_deref().unwrap_or("none");
    Ok(format!("{} on shelf {shelf}", product.stock))
}

/// The status and a code: what a client may know.
#[derive(Debug)]
struct Failure(u16, &'static str);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.http_status(), error.code())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(_: sqlx::Error) -> Self {
        Self(500, "database")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.1).into_response()
    }
}
