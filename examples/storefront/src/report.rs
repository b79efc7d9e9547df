use std::time::Duration;

use axum::{Json, extract::State};
use optilock::inventory::{Inventory, Report};
use serde::Deserialize;

use super::{Shop, body::Query, problem::Problem, users::Admin};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    hours: Option<u64>,
}

/// The five figures and the rows behind them.
pub async fn report(
    State(shop): State<Shop>,
    _: Admin,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Report>, Problem> {
    let hours = wanted.hours.unwrap_or(24);
    if !(1..=168).contains(&hours) {
        return Err(Problem::invalid("hours: 1 to 168"));
    }
    let window = Duration::from_secs(hours * 3_600);
    Ok(Json(shop.inventory.report(window).await?))
}
