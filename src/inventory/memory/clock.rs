//! Time, and ages of rows.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Returns the time to the microsecond, as PostgreSQL stores it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Returns whether `since` is at least `age` ago. A time in the future counts as now.
pub(super) fn is_older(since: DateTime<Utc>, age: Duration, now: DateTime<Utc>) -> bool {
    (now - since).to_std().unwrap_or_default() >= age
}
