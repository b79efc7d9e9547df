//! The endpoint of the report.

use std::time::Duration;

use axum::{Json, extract::State};
use optilock::inventory::{Inventory, Report};
use serde::Deserialize;

use crate::{auth::Admin, body::Query, problem::Problem, shop::Shop};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    hours: Option<u64>,
}

/// Returns the five figures, and the rows behind them.
pub(crate) async fn report(
    State(shop): State<Shop>,
    _: Admin,
    Query(query): Query<ReportQuery>,
) -> Result<Json<Report>, Problem> {
    let hours = query.hours.unwrap_or(24);
    if !(1..=168).contains(&hours) {
        return Err(Problem::invalid("hours: 1 to 168"));
    }
    let window = Duration::from_secs(hours * 3_600);
    Ok(Json(shop.inventory.report(window).await?))
}
