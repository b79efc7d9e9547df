//! A change of one product, made exactly once.

use uuid::Uuid;

use super::{changed_by, set_paused};
use crate::{
    Class,
    inventory::{
        model::{Error, Product, Sku},
        postgres::executor::{Executor, Work},
    },
};

/// How an attempt ends that arrives after a later one was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The attempt is refused as well: the change expects a version.
    Refused,
    /// Its transaction is never committed.
    NotCommitted,
    /// The change may be made.
    Done,
}

/// Makes a change once: `token` is stored with it and looked up when the outcome of an attempt is unknown.
pub(crate) async fn exactly_once<'a>(
    executor: &Executor,
    label: &'static str,
    token: Uuid,
    late: Late,
    work: Work<'_, 'a, Result<Product, Error>>,
) -> Result<Product, Error> {
    executor
        .run(label, (), &|call, attempt, _| {
            Box::pin(async move {
                let result = if late == Late::NotCommitted {
                    executor.locking_attempt(attempt, work).await
                } else {
                    executor.attempt(attempt, work).await
                };
                match result {
                    Err(refused) if call.in_doubt && refused.class == Class::Permanent => {
                        let stored: Work<'_, '_, _> = &|conn, _| Box::pin(changed_by(conn, token));
                        match executor.ask(stored).await? {
                            Some((product, _)) => Ok(product),
                            None => {
                                call.in_doubt = late == Late::Done;
                                Err(refused)
                            }
                        }
                    }
                    other => other,
                }
            })
        })
        .await
}

/// Pauses or resumes the sale of a product, once per call: after an unknown outcome, another call may have
/// undone the first attempt.
pub(crate) async fn pause(
    executor: &Executor,
    label: &'static str,
    sku: &Sku,
    paused: bool,
) -> Result<Product, Error> {
    let token = Uuid::now_v7();
    exactly_once(executor, label, token, Late::Done, &|conn, _| {
        Box::pin(set_paused(conn, sku, paused, token))
    })
    .await
}
