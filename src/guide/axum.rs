//! A bank and its shop: an API on axum with the features `axum` and `serde`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response, Result},
    routing::{get, post, put},
};
use optilock::{
    Class, Classify, ETag, IfMatch, PreconditionFailed, RetryPolicy, Version,
    inventory::{Checkout, Inventory, Line, OrderId, PgInventory, Quantity, Sku},
    postgres::{self, PgRepository, transact},
    sqlx::{self, PgPool},
    versioned_row,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Serialize, sqlx::FromRow)]
struct Account {
    id: i64,
    owner: String,
    cents: i64,
    version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

/// What every handler uses.
#[derive(Clone, Debug)]
struct App {
    pool: PgPool,
    accounts: PgRepository<Account>,
    shop: PgInventory,
}

/// Returns the routes.
pub fn router(pool: PgPool) -> Router {
    let app = App {
        accounts: PgRepository::new(pool.clone()),
        shop: PgInventory::new(pool.clone()),
        pool,
    };
    Router::new()
        .route("/accounts/{id}", get(show))
        .route("/accounts/{id}/owner", put(rename))
        .route("/transfers", post(transfer))
        .route("/orders/{id}", put(buy))
        .with_state(app)
}

/// What an operation of the bank fails with.
#[derive(Debug, thiserror::Error)]
enum BankError {
    #[error(transparent)]
    Row(#[from] postgres::Error),
    #[error(transparent)]
    Stale(#[from] PreconditionFailed),
    #[error("{missing} cents are missing")]
    Overdrawn { missing: i64 },
}

/// For `transact`, which returns an error of the connection as one of the operation's.
impl From<sqlx::Error> for BankError {
    fn from(error: sqlx::Error) -> Self {
        Self::Row(error.into())
    }
}

/// Which errors another attempt can help.
impl Classify for BankError {
    fn class(&self) -> Class {
        match self {
            Self::Row(error) => error.class(),
            Self::Stale(failed) => failed.class(),
            Self::Overdrawn { .. } => Class::Permanent,
        }
    }
}

/// The errors of the crate are responses. The bank's own refusal has the same form.
impl IntoResponse for BankError {
    fn into_response(self) -> Response {
        let detail = self.to_string();
        match self {
            Self::Row(error) => error.into_response(),
            Self::Stale(failed) => failed.into_response(),
            Self::Overdrawn { missing } => {
                let body = json!({
                    "type": "about:blank", "title": "Conflict", "status": 409,
                    "detail": detail, "code": "overdrawn", "missing": missing,
                });
                let problem = [(header::CONTENT_TYPE, "application/problem+json")];
                (StatusCode::CONFLICT, problem, Json(body)).into_response()
            }
        }
    }
}

async fn show(State(app): State<App>, Path(id): Path<i64>) -> Result<impl IntoResponse> {
    let account = app.accounts.get(&id).await?; // 404, 503
    Ok((ETag(account.version), Json(account)))
}

#[derive(Debug, Deserialize)]
struct Owner {
    owner: String,
}

/// Changes the account that the client has read. Without `If-Match` the extractor answers 428.
async fn rename(
    State(app): State<App>,
    Path(id): Path<i64>,
    if_match: IfMatch,
    Json(body): Json<Owner>,
) -> Result<impl IntoResponse> {
    // After a conflict this runs again, with the row that the other writer has left: then it is 412.
    let rename = |account: &mut Account| {
        if_match.check(account.version)?;
        account.owner.clone_from(&body.owner);
        Ok::<_, BankError>(())
    };
    let policy = RetryPolicy::new();
    let (account, ()) = app.accounts.modify(&policy, &id, rename).await?;
    Ok((ETag(account.version), Json(account)))
}

#[derive(Debug, Deserialize)]
struct Transfer {
    from: i64,
    to: i64,
    cents: u32,
}

/// Names no version: a conflict is tried again, and is 409 when the policy allows no further attempt.
async fn transfer(State(app): State<App>, Json(body): Json<Transfer>) -> Result<StatusCode> {
    let cents = i64::from(body.cents);
    transact(&app.pool, &RetryPolicy::new(), async |tx| {
        let mut from = app.accounts.get_in(tx, &body.from).await?;
        let mut to = app.accounts.get_in(tx, &body.to).await?;
        if from.cents < cents {
            let missing = cents - from.cents;
            return Err(BankError::Overdrawn { missing });
        }
        from.cents -= cents;
        to.cents += cents;
        app.accounts.update_in(tx, &from).await?;
        app.accounts.update_in(tx, &to).await?;
        Ok::<_, BankError>(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct Purchase {
    sku: Sku,
    quantity: Quantity,
}

/// The client chooses the id of the order, so that it can send the same request again after an unknown outcome.
async fn buy(
    State(app): State<App>,
    Path(id): Path<OrderId>,
    Json(body): Json<Purchase>,
) -> Result<impl IntoResponse> {
    let checkout = Checkout::new([Line::new(body.sku, body.quantity)])?;
    let order = app.shop.checkout(checkout.with_order_id(id)).await?;
    Ok((StatusCode::CREATED, ETag(order.version), Json(order)))
}
