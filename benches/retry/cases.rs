//! The candidates of each comparison. The first one is the reference of the ratios.

use std::{
    cell::Cell,
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use backon::Retryable;
use optilock::with_retry;
use tokio_retry2::Retry;

use crate::{
    candidate::{Candidate, awaited, polled},
    operation::{Failed, failing, operation, transient, waiting},
    policy::{
        BACKON, BACKON_NO_DELAY, OPTILOCK, OPTILOCK_NO_DELAY, tokio_retry2, tokio_retry2_no_delay,
    },
};

const OPTILOCK_AWAITED: Candidate =
    awaited!("optilock", 10_000, |input| with_retry(&OPTILOCK, |_| {
        operation(input)
    })
    .await);

/// Awaited inside a task, as in an application: the state of the retry is part of the task.
pub(crate) const AWAITED: [Candidate; 5] = [
    awaited!("bare call", 10_000, |input| operation(input).await),
    OPTILOCK_AWAITED,
    OPTILOCK_AWAITED.recorded(),
    awaited!("backon", 10_000, |input| (|| operation(input))
        .retry(BACKON)
        .await),
    awaited!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(operation(input))
    )
    .await),
];

const OPTILOCK_WAITING: Candidate =
    awaited!("optilock", 10_000, |input| with_retry(&OPTILOCK, |_| {
        waiting(input)
    })
    .await);

/// As [`AWAITED`], with an operation that waits once, as every call of a database does.
pub(crate) const WAITING: [Candidate; 5] = [
    awaited!("bare call", 10_000, |input| waiting(input).await),
    OPTILOCK_WAITING,
    OPTILOCK_WAITING.recorded(),
    awaited!("backon", 10_000, |input| (|| waiting(input))
        .retry(BACKON)
        .await),
    awaited!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(waiting(input))
    )
    .await),
];

const OPTILOCK_POLLED: Candidate =
    polled!("optilock", 10_000, |input| with_retry(&OPTILOCK, |_| {
        operation(input)
    }));

/// Polled without a task: the cost of the retry alone.
pub(crate) const POLLED: [Candidate; 5] = [
    polled!("bare call", 10_000, |input| operation(input)),
    OPTILOCK_POLLED,
    OPTILOCK_POLLED.recorded(),
    polled!("backon", 10_000, |input| (|| operation(input))
        .retry(BACKON)),
    polled!("tokio-retry2", 10_000, |input| Retry::spawn(
        tokio_retry2(),
        || transient(operation(input))
    )),
];

const OPTILOCK_THREE_FAILURES: Candidate = awaited!("optilock", 1_000, |_| {
    let attempts = Cell::new(0);
    with_retry(&OPTILOCK_NO_DELAY, |_| failing(&attempts)).await
});

pub(crate) const THREE_FAILURES: [Candidate; 6] = [
    awaited!("bare loop", 1_000, |_| {
        let attempts = Cell::new(0);
        loop {
            match failing(&attempts).await {
                Err(Failed) if attempts.get() < 12 => {}
                result => break result,
            }
        }
    }),
    OPTILOCK_THREE_FAILURES,
    OPTILOCK_THREE_FAILURES.recorded(),
    awaited!("backon, sleeper replaced", 1_000, |_| {
        let attempts = Cell::new(0);
        (|| failing(&attempts))
            .retry(BACKON_NO_DELAY)
            .sleep(|_| ready(()))
            .await
    }),
    awaited!("backon", 1, |_| {
        let attempts = Cell::new(0);
        (|| failing(&attempts)).retry(BACKON_NO_DELAY).await
    }),
    awaited!("tokio-retry2", 1, |_| {
        let attempts = Cell::new(0);
        Retry::spawn(tokio_retry2_no_delay(), || transient(failing(&attempts))).await
    }),
];
