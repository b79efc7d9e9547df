//! What the crate records. Without the feature `metrics` each function does nothing, so that no call site has a
//! condition.

#[cfg(all(feature = "metrics", feature = "postgres"))]
use std::time::Instant;

#[cfg(all(feature = "metrics", feature = "postgres"))]
use ::metrics::Label;
#[cfg(all(feature = "metrics", feature = "inventory"))]
use ::metrics::counter;
#[cfg(feature = "metrics")]
use ::metrics::{Key, Level, Metadata, with_recorder};

#[cfg(feature = "metrics")]
use super::keys::with_keys;
#[cfg(all(feature = "metrics", feature = "postgres"))]
use super::names::TRANSACTION_SECONDS;
#[cfg(all(feature = "metrics", feature = "inventory"))]
use super::names::{CLEANED, CLEANUP_FAILURES, CLEANUP_REFUSED};

#[cfg(feature = "metrics")]
static METADATA: Metadata<'static> =
    Metadata::new("optilock::metrics", Level::INFO, Some(module_path!()));

/// Declares functions whose bodies exist with the feature `metrics` only.
macro_rules! recorded {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),*) $body:block)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name($($argument: $type),*) {
            #[cfg(feature = "metrics")]
            $body
            #[cfg(not(feature = "metrics"))]
            let _ = ($($argument,)*);
        }
    )*};
}

recorded! {
    /// Records an operation that ended after `attempts` attempts.
    #[inline]
    fn attempts(entity: &'static str, attempts: u32) {
        with_recorder(|recorder| {
            with_keys(entity, |keys| {
                let histogram = recorder.register_histogram(&keys.attempts, &METADATA);
                histogram.record(attempts);
            });
        });
    }

    /// Counts a conflict, which is absorbed by a later attempt or has escaped to the caller.
    fn conflict(entity: &'static str, escaped: bool) {
        with_keys(entity, |keys| {
            increment(if escaped {
                &keys.escaped
            } else {
                &keys.absorbed
            });
        });
    }

    /// Counts an attempt whose outcome is unknown.
    fn unknown_outcome(entity: &'static str) {
        with_keys(entity, |keys| increment(&keys.unknown));
    }

    /// Counts what a clean-up of a janitor did, if it did something.
    #[cfg(feature = "inventory")]
    fn cleaned(what: &'static str, count: u64) {
        if count > 0 {
            counter!(CLEANED, "what" => what).increment(count);
        }
    }

    #[cfg(feature = "inventory")]
    fn cleanup_failed(what: &'static str) {
        counter!(CLEANUP_FAILURES, "what" => what).increment(1);
    }

    #[cfg(feature = "inventory")]
    fn cleanup_refused(what: &'static str, count: u64) {
        counter!(CLEANUP_REFUSED, "what" => what).increment(count);
    }
}

#[cfg(feature = "metrics")]
fn increment(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
}

/// Measures a transaction from `BEGIN` to its end.
#[cfg(feature = "postgres")]
pub(crate) struct Timer {
    #[cfg(feature = "metrics")]
    start: Instant,
}

#[cfg(feature = "postgres")]
impl Timer {
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            start: Instant::now(),
        }
    }

    /// Records a transaction that was `committed`, `rolled-back` or `unknown`.
    #[cfg(feature = "metrics")]
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

    #[cfg(not(feature = "metrics"))]
    pub(crate) const fn transaction(self, _outcome: &'static str) {}
}
