//! The operations that all candidates run.

use std::{cell::Cell, future::Future, hint::black_box};

use optilock::{Class, Classify};
use tokio_retry2::RetryError;

/// The error of a failed attempt.
#[derive(Debug)]
pub(crate) struct Failed;

impl Classify for Failed {
    fn class(&self) -> Class {
        Class::Conflict
    }
}

/// Succeeds. The optimizer can predict neither the input nor the output.
pub(crate) async fn operation(input: u64) -> Result<u64, Failed> {
    match black_box(input) {
        u64::MAX => Err(Failed),
        value => Ok(black_box(value + 1)),
    }
}

/// Waits once, then succeeds.
pub(crate) async fn waiting(input: u64) -> Result<u64, Failed> {
    tokio::task::yield_now().await;
    operation(input).await
}

/// Fails three times, then succeeds.
pub(crate) async fn failing(attempts: &Cell<u64>) -> Result<u64, Failed> {
    attempts.set(black_box(attempts.get() + 1));
    match attempts.get() {
        1..=3 => Err(Failed),
        attempts => Ok(attempts),
    }
}

/// Wraps the error as tokio-retry2 requires it.
pub(crate) async fn transient<T>(
    attempt: impl Future<Output = Result<T, Failed>>,
) -> Result<T, RetryError<Failed>> {
    attempt.await.map_err(RetryError::transient)
}
