//! A change of an order, made exactly once.

use super::doubt::Doubt;
use crate::{
    Class, Version,
    inventory::{
        model::{Error, ErrorKind, Order, OrderStep},
        postgres::executor::{Executor, Work},
    },
};

/// Changes an order by attempts that are guarded by its version: `expected`, or the version that each attempt
/// read.
pub(crate) async fn exactly_once<'a>(
    executor: &Executor,
    label: &'static str,
    expected: Option<Version>,
    doubt: &Doubt,
    work: Work<'_, 'a, Result<Order, Error>>,
) -> Result<Order, Error> {
    executor
        .run(label, (), &|call, attempt, _| {
            Box::pin(async move {
                doubt.begin();
                let mut result = executor.attempt(attempt, work).await;
                if let Err(failed) = &mut result {
                    match failed.error.kind() {
                        _ if failed.class == Class::Unknown => doubt.lose(),
                        // What suppressed this attempt also suppresses an earlier one that is still running.
                        ErrorKind::NotFound | ErrorKind::Suppressed | ErrorKind::Archived => {
                            doubt.settle();
                        }
                        // Other transactions changed the order while it was read: another attempt may succeed.
                        ErrorKind::Conflict if expected.is_none() && doubt.earlier().is_none() => {
                            failed.class = Class::Conflict;
                        }
                        _ => {}
                    }
                }
                call.in_doubt = doubt.earlier().is_some();
                call.is_replay |= matches!(&result, Ok(order) if order.replayed);
                result
            })
        })
        .await
}

/// Makes a step of an order. `doubt`: the state of a batch of cancellations that may have made it before.
pub(crate) async fn step(
    executor: &Executor,
    step: &OrderStep,
    doubt: &Doubt,
) -> Result<Order, Error> {
    let policy = executor.policy();
    exactly_once(executor, step.label(), step.expected, doubt, &|conn, _| {
        Box::pin(super::step::step(conn, step, policy, doubt))
    })
    .await
}
