//! What a dashboard and its alerts want to know, through the facade of the [metrics](https://docs.rs/metrics)
//! crate. The host installs the recorder; without one nothing is counted.
//!
//! | Name | Kind | Labels | What it counts |
//! |---|---|---|---|
//! | [`CONFLICTS`] | counter | `entity`, `outcome` | lost races: `absorbed` by a later attempt, or `escaped` to the caller |
//! | [`ATTEMPTS`] | histogram | `entity` | attempts of an operation that ended, well or not |
//! | [`UNKNOWN_OUTCOMES`] | counter | `entity` | attempts whose outcome nobody knew |
//! | [`CLEANED`] | counter | `what` | what a [`Janitor`](crate::inventory::Janitor) did: `orders` cancelled, `holds` lapsed, `units` given back, `keys` forgotten; not what one did before it failed |
//! | [`CLEANUP_FAILURES`] | counter | `what` | clean-ups of his that failed: of `orders`, `reservations` or `keys` |
//! | [`KPI`] | gauge | `kpi` | the figures of the last report that [`record`] was given |
//! | [`TRANSACTION_SECONDS`] | histogram | `outcome` | seconds from `BEGIN` until the transaction was `committed`, `rolled-back` or `unknown` |
//!
//! `entity` is what was retried: the name of an operation of the inventory (`checkout`), else the
//! policy's [label](crate::RetryPolicy::with_label), else the [`ENTITY`](crate::Versioned::ENTITY) of a
//! row that `PgRepository` modified or compared alone. All of them are
//! written in the program's text, so there are as many series as there are names in it: no id ever
//! becomes a label.
//!
//! A conflict of `PgRepository::update`, or of another operation that makes one attempt, has escaped
//! as far as this crate knows. What runs within a transaction is counted by whoever runs that one.
//!
//! With this feature an operation that is retried allocates its labels, once, also when it succeeds at
//! once.
//!
//! The share of conflicts that escaped should be near zero, and the mean of the attempts below 1.5:
//! above that, a row is in such demand that its operation should lock, or be made one statement.

#[cfg(feature = "postgres")]
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};

#[cfg(feature = "inventory")]
use crate::inventory::{Report, Tidied};

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
        "Attempts whose outcome nobody knew"
    );
    describe_histogram!(
        TRANSACTION_SECONDS,
        Unit::Seconds,
        "Time from BEGIN to the end of the transaction"
    );
    describe_counter!(CLEANED, Unit::Count, "What the periodic clean-up did");
    describe_counter!(CLEANUP_FAILURES, Unit::Count, "Clean-ups that failed");
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

#[cfg(feature = "inventory")]
pub(crate) fn cleaned(done: &Tidied) {
    let cleanup = done.cleanup;
    for (what, count) in [
        ("orders", cleanup.orders),
        ("holds", cleanup.holds),
        ("units", cleanup.units),
        ("keys", done.keys),
    ] {
        if count > 0 {
            counter!(CLEANED, "what" => what).increment(count);
        }
    }
}

#[cfg(feature = "inventory")]
pub(crate) fn cleanup_failed(what: &'static str) {
    counter!(CLEANUP_FAILURES, "what" => what).increment(1);
}

/// A conflict that a later attempt will see to, or that the caller gets.
pub(crate) fn conflict(entity: &'static str, escaped: bool) {
    let outcome = if escaped { "escaped" } else { "absorbed" };
    counter!(CONFLICTS, "entity" => entity, "outcome" => outcome).increment(1);
}

pub(crate) fn unknown_outcome(entity: &'static str) {
    counter!(UNKNOWN_OUTCOMES, "entity" => entity).increment(1);
}

pub(crate) fn attempts(entity: &'static str, attempts: u32) {
    histogram!(ATTEMPTS, "entity" => entity).record(attempts);
}

#[cfg(feature = "postgres")]
pub(crate) fn transaction(outcome: &'static str, took: Duration) {
    histogram!(TRANSACTION_SECONDS, "outcome" => outcome).record(took);
}
