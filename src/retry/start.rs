//! The start of a retry.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// Runs an attempt. When it first returns pending, reads the clock into `since`, unless that is set.
///
/// An attempt that is ready at its first poll does not read the clock.
pub(super) struct NotesStart<'f, F> {
    pub(super) attempt: Pin<&'f mut F>,
    pub(super) since: &'f mut Option<Instant>,
}

impl<F: Future> Future for NotesStart<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let polled = this.attempt.as_mut().poll(context);
        if polled.is_pending() && this.since.is_none() {
            *this.since = Some(Instant::now());
        }
        polled
    }
}
