//! The metrics of one queue.

use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{Key, Label, Level, Metadata, with_recorder};
use tokio::time::Instant;

#[cfg(feature = "metrics")]
use super::names::{BATCH_SECONDS, BATCH_SIZE, QUEUE_DEPTH, QUEUE_SECONDS};

#[cfg(feature = "metrics")]
static METADATA: Metadata<'static> =
    Metadata::new("optilock::metrics", Level::INFO, Some(module_path!()));

/// Records what a queue does. Without the feature `metrics` it has no content.
#[derive(Debug)]
pub(crate) struct Lane {
    #[cfg(feature = "metrics")]
    depth: Key,
    #[cfg(feature = "metrics")]
    waited: Key,
    #[cfg(feature = "metrics")]
    size: Key,
    #[cfg(feature = "metrics")]
    took: Key,
}

#[cfg(feature = "metrics")]
impl Lane {
    pub(crate) fn new(lane: &'static str) -> Self {
        let key = |name| {
            let label = Label::from_static_parts("lane", lane);
            Key::from_parts(name, vec![label]).to_retained()
        };
        Self {
            depth: key(QUEUE_DEPTH),
            waited: key(QUEUE_SECONDS),
            size: key(BATCH_SIZE),
            took: key(BATCH_SECONDS),
        }
    }

    /// Records the number of requests that wait for a batch.
    pub(crate) fn depth(&self, depth: usize) {
        with_recorder(|it| it.register_gauge(&self.depth, &METADATA).set(depth as f64));
    }

    /// Records a request whose batch starts, and which was queued since then.
    pub(crate) fn waited(&self, since: Instant) {
        record(&self.waited, since.elapsed().as_secs_f64());
    }

    /// Records a batch of this number of requests.
    pub(crate) fn batch(&self, requests: usize) {
        record(&self.size, requests as f64);
    }

    /// Records the time that a batch took.
    pub(crate) fn took(&self, took: Duration) {
        record(&self.took, took.as_secs_f64());
    }
}

#[cfg(feature = "metrics")]
fn record(key: &Key, value: f64) {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA).record(value));
}

#[cfg(not(feature = "metrics"))]
impl Lane {
    pub(crate) const fn new(_lane: &'static str) -> Self {
        Self {}
    }

    pub(crate) const fn depth(&self, _depth: usize) {}

    pub(crate) const fn waited(&self, _since: Instant) {}

    pub(crate) const fn batch(&self, _requests: usize) {}

    pub(crate) const fn took(&self, _took: Duration) {}
}
