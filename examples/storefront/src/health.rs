//! The endpoints for load balancers.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use optilock::sqlx;
use tokio::time::timeout;

use crate::{problem::Problem, shop::Shop};

/// Answers while the process runs. If this fails, restart the process.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// Answers 200 while the shop can serve requests, else 503.
pub(crate) async fn ready(State(shop): State<Shop>) -> Result<&'static str, Problem> {
    let not_ready = |why| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "not-ready", "Not ready", why).retry_after(Duration::from_secs(1))
    };
    if shop.is_stopping() {
        return Err(not_ready("The shop is shutting down."));
    }
    let ping = sqlx::query("SELECT 1").execute(&shop.pool);
    match timeout(Duration::from_secs(1), ping).await {
        Ok(Ok(_)) => Ok("ready\n"),
        _ => Err(not_ready("The database does not answer.")),
    }
}
