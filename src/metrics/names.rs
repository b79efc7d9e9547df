//! What each metric is called, and what exporters show of it.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

#[cfg(feature = "inventory")]
use crate::inventory::Report;

/// `optilock_conflicts_total`
pub const CONFLICTS: &str = "optilock_conflicts_total";
/// `optilock_attempts`
pub const ATTEMPTS: &str = "optilock_attempts";
/// `optilock_unknown_outcomes_total`
pub const UNKNOWN_OUTCOMES: &str = "optilock_unknown_outcomes_total";
/// `optilock_transaction_seconds`
pub const TRANSACTION_SECONDS: &str = "optilock_transaction_seconds";
/// `optilock_cleaned_total`
pub const CLEANED: &str = "optilock_cleaned_total";
/// `optilock_cleanup_failures_total`
pub const CLEANUP_FAILURES: &str = "optilock_cleanup_failures_total";
/// `optilock_cleanup_refused_total`
pub const CLEANUP_REFUSED: &str = "optilock_cleanup_refused_total";
/// `optilock_kpi`
pub const KPI: &str = "optilock_kpi";

/// Tells the recorder what each of them is, for exporters that show it. Once, after the recorder was
/// installed.
pub fn describe() {
    describe_counter!(
        CONFLICTS,
        Unit::Count,
        "Lost races, absorbed by a retry or escaped to the caller"
    );
    describe_histogram!(ATTEMPTS, Unit::Count, "Attempts per operation");
    describe_counter!(
        UNKNOWN_OUTCOMES,
        Unit::Count,
        "Attempts whose outcome is unknown"
    );
    describe_histogram!(
        TRANSACTION_SECONDS,
        Unit::Seconds,
        "Time from BEGIN to the end of the transaction"
    );
    describe_counter!(CLEANED, Unit::Count, "What the periodic clean-up did");
    describe_counter!(CLEANUP_FAILURES, Unit::Count, "Clean-ups that failed");
    describe_counter!(
        CLEANUP_REFUSED,
        Unit::Count,
        "What a clean-up left, as the database refused to change it"
    );
    describe_gauge!(
        KPI,
        "The figures of the last report: counts, shares from 0 to 1, attempts, and seconds"
    );
}

/// Sets the gauge of each figure of this report that is known: for a host that makes one every minute or
/// so, from one process. What isn't known is NaN, so that no alert goes by an old figure.
#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub fn record(report: &Report) {
    for kpi in &report.kpis {
        let value = kpi.value.unwrap_or(f64::NAN);
        ::metrics::gauge!(KPI, "kpi" => kpi.kind.as_str()).set(value);
    }
}
