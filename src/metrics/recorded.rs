//! The facade with the feature `metrics`.

#[cfg(feature = "postgres")]
use std::time::Instant;

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

static METADATA: Metadata<'static> =
    Metadata::new("optilock::metrics", Level::INFO, Some(module_path!()));

/// Records an operation that ended after `attempts` attempts.
#[inline]
pub(crate) fn attempts(entity: &'static str, attempts: u32) {
    with_recorder(|recorder| {
        with_keys(entity, |keys| {
            let histogram = recorder.register_histogram(&keys.attempts, &METADATA);
            histogram.record(attempts);
        });
    });
}

/// Counts a conflict, which is absorbed by a later attempt or has escaped to the caller.
pub(crate) fn conflict(entity: &'static str, escaped: bool) {
    with_keys(entity, |keys| {
        increment(if escaped {
            &keys.escaped
        } else {
            &keys.absorbed
        });
    });
}

/// Counts an attempt whose outcome is unknown.
pub(crate) fn unknown_outcome(entity: &'static str) {
    with_keys(entity, |keys| increment(&keys.unknown));
}

fn increment(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
}

/// Measures a transaction from `BEGIN` to its end.
#[cfg(feature = "postgres")]
pub(crate) struct Timer {
    start: Instant,
}

#[cfg(feature = "postgres")]
impl Timer {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Records a transaction that was `committed`, `rolled-back` or `unknown`.
    pub(crate) fn transaction(self, outcome: &'static str) {
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
        let took = self.start.elapsed();
        with_recorder(|recorder| recorder.register_histogram(key, &METADATA).record(took));
    }
}

/// Counts what a clean-up of a janitor did, if it did something.
#[cfg(feature = "inventory")]
pub(crate) fn cleaned(what: &'static str, count: u64) {
    if count > 0 {
        counter!(CLEANED, "what" => what).increment(count);
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
