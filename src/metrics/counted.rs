//! What is recorded, with the feature `metrics`.

#[cfg(feature = "postgres")]
use std::time::Duration;

#[cfg(feature = "postgres")]
use ::metrics::Label;
#[cfg(feature = "inventory")]
use ::metrics::counter;
use ::metrics::{Key, Level, Metadata, with_recorder};

use super::keys::with_keys;
#[cfg(feature = "postgres")]
use super::names::TRANSACTION_SECONDS;
#[cfg(feature = "inventory")]
use super::names::{CLEANED, CLEANUP_FAILURES, CLEANUP_REFUSED};
#[cfg(feature = "inventory")]
use crate::inventory::Cleaned;

static METADATA: Metadata<'static> =
    Metadata::new("optilock::metrics", Level::INFO, Some(module_path!()));

/// An operation that ended after `attempts` attempts.
#[inline]
pub(crate) fn attempts(entity: &'static str, attempts: u32) {
    with_recorder(|recorder| {
        with_keys(entity, |keys| {
            let histogram = recorder.register_histogram(&keys.attempts, &METADATA);
            histogram.record(attempts);
        });
    });
}

/// A conflict that a later attempt will see to, or that the caller gets.
pub(crate) fn conflict(entity: &'static str, escaped: bool) {
    with_keys(entity, |keys| {
        increment(if escaped {
            &keys.escaped
        } else {
            &keys.absorbed
        });
    });
}

/// An attempt whose outcome is unknown.
pub(crate) fn unknown_outcome(entity: &'static str) {
    with_keys(entity, |keys| increment(&keys.unknown));
}

fn increment(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
}

/// The seconds from `BEGIN` to the end of a transaction.
#[cfg(feature = "postgres")]
pub(crate) fn transaction(outcome: &'static str, took: Duration) {
    macro_rules! key {
        ($outcome:literal) => {{
            static LABELS: [Label; 1] = [Label::from_static_parts("outcome", $outcome)];
            static KEY: Key = Key::from_static_parts(TRANSACTION_SECONDS, &LABELS);
            &KEY
        }};
    }
    let key = match outcome {
        "committed" => key!("committed"),
        "rolled-back" => key!("rolled-back"),
        _ => key!("unknown"),
    };
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA).record(took));
}

#[cfg(feature = "inventory")]
pub(crate) fn cleaned(done: &Cleaned) {
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

#[cfg(feature = "inventory")]
pub(crate) fn cleanup_refused(what: &'static str, count: u64) {
    counter!(CLEANUP_REFUSED, "what" => what).increment(count);
}
