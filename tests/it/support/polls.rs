//! Futures that are dropped before they are ready.

use std::{future::poll_fn, pin::pin, task::Poll};

/// Polls the operation at most `polls` times and then drops it.
pub async fn drop_after<T>(polls: u32, operation: impl Future<Output = T>) -> Option<T> {
    let (mut operation, mut left) = (pin!(operation), polls);
    poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => {
            left -= 1;
            if left == 0 {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}
