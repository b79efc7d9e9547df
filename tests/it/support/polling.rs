//! Futures that a test polls by hand.

use std::{
    any::Any,
    cell::Cell,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    pin::{Pin, pin},
    sync::Once,
    task::{Context, Poll},
    time::Duration,
};

/// Polls a future a number of times at most; ends with `None` if it is not ready by then.
pub struct PollAtMost<F>(pub F, pub u32);

impl<F: Future + Unpin> Future for PollAtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                self.1 -= 1;
                if self.1 == 0 {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        }
    }
}

/// Polls a future once, drops it and returns whether it was ready.
pub async fn poll_once(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

/// Polls a future `times` times at most, with a pause after each poll, drops it and returns whether it was
/// ready.
pub async fn poll_times(times: u32, pause: Duration, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return true;
        }
        tokio::time::sleep(pause).await;
    }
    false
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Returns the text of its future's panic as an error. The panic is not printed: a backtrace takes longer than
/// most tests.
pub struct CatchPanic<F>(pub F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default_hook = take_hook();
            set_hook(Box::new(move |info| {
                if !CATCHING.get() {
                    default_hook(info);
                }
            }));
        });
        CATCHING.set(true);
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(context)));
        CATCHING.set(false);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic_text(panic))),
        }
    }
}

/// Returns the text that a panic was raised with.
pub fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast::<&str>().map_or_else(
            |_| "a panic without a text".to_owned(),
            |text| (*text).to_owned(),
        ),
    }
}
