//! For load balancers.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use optilock::sqlx;
use tokio::time::timeout;

use super::{Shop, problem::Problem};

/// The program runs. Restart it if this fails.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// It can serve: send it requests as long as this succeeds.
pub async fn ready(State(shop): State<Shop>) -> Result<&'static str, Problem> {
    let not_ready = |why| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "Not ready",
            why,
        )
        .retry_after(Duration::from_secs(1))
    };
    if *shop.stopped.borrow() {
        return Err(not_ready("The shop is closing."));
    }
    let asked = sqlx::query("SELECT 1").execute(&shop.pool);
    match timeout(Duration::from_secs(1), asked).await {
        Ok(Ok(_)) => Ok("ready\n"),
        _ => Err(not_ready("The database does not answer.")),
    }
}
