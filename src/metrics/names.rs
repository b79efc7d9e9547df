//! The names of the metrics, and their descriptions for exporters.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

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
/// `optilock_queue_depth`
pub const QUEUE_DEPTH: &str = "optilock_queue_depth";
/// `optilock_queue_seconds`
pub const QUEUE_SECONDS: &str = "optilock_queue_seconds";
/// `optilock_batch_size`
pub const BATCH_SIZE: &str = "optilock_batch_size";
/// `optilock_batch_seconds`
pub const BATCH_SECONDS: &str = "optilock_batch_seconds";
/// `optilock_kpi`
pub const KPI: &str = "optilock_kpi";

/// Describes each metric to the recorder, for exporters that show it. Call it once, after the recorder was
/// installed.
pub fn describe() {
    describe_counter!(
        CONFLICTS,
        Unit::Count,
        "Conflicts, absorbed by a retry or escaped to the caller"
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
    describe_counter!(CLEANED, Unit::Count, "The work of the periodic clean-up");
    describe_counter!(CLEANUP_FAILURES, Unit::Count, "Clean-ups that failed");
    describe_counter!(
        CLEANUP_REFUSED,
        Unit::Count,
        "Rows that a clean-up skipped, as the database refused to change them"
    );
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Requests that wait for a batch");
    describe_histogram!(
        QUEUE_SECONDS,
        Unit::Seconds,
        "Time that a request waited before its batch started"
    );
    describe_histogram!(BATCH_SIZE, Unit::Count, "Requests per batch");
    describe_histogram!(
        BATCH_SECONDS,
        Unit::Seconds,
        "Time from the start of a batch to its answers"
    );
    describe_gauge!(
        KPI,
        "The figures of the last report: counts, shares from 0 to 1, attempts, and seconds"
    );
}

/// Figures for the gauge [`KPI`], such as those of an inventory's `Report`.
pub trait Figures {
    /// Returns each figure with its name, which becomes a label. `None` stands for a figure that is unknown.
    fn figures(&self) -> impl Iterator<Item = (&'static str, Option<f64>)>;
}

/// Sets the gauge [`KPI`] for each figure of a report.
///
/// For a host that makes a report every minute or so, in one process. A figure that is unknown becomes NaN,
/// so that no alert uses an old value.
pub fn record(report: &impl Figures) {
    for (kpi, value) in report.figures() {
        ::metrics::gauge!(KPI, "kpi" => kpi).set(value.unwrap_or(f64::NAN));
    }
}
