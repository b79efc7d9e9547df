//! The time between two attempts.

use super::class::Class;
use std::time::Duration;
use tracing::{Span, debug, debug_span};

/// The delay between two attempts, and its span.
pub(super) struct Pause {
    pub(super) delay: Duration,
    /// The span of the delay; none without a delay.
    pub(super) span: Span,
}

impl Pause {
    /// The pause after attempt number `attempt` of `label`, which failed with `class`.
    pub(super) fn new(delay: Duration, label: &'static str, attempt: u32, class: Class) -> Self {
        debug!(target: "optilock::retry", label, attempt, %class, ?delay, "retrying");
        let span = if delay.is_zero() {
            Span::none()
        } else {
            debug_span!(target: "optilock::retry", "waiting", label, attempt, %class, ?delay)
        };
        Self { delay, span }
    }
}
