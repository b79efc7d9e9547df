//! The answer of a hook for a batch, judged.

use std::{collections::BTreeMap, error::Error as StdError, fmt, sync::Arc};

use super::{Accepted, Refusals};
use crate::{
    Class, Classify,
    inventory::model::{BoxError, Error, OrderId},
};

/// What a hook answered for the accepted checkouts of a batch.
#[derive(Debug)]
#[allow(dead_code, reason = "read by batches")]
pub(crate) enum BatchAnswer {
    /// The hook accepts all of them: the batch can be committed.
    Accepted,
    /// The batch is rolled back and written once more without these.
    TakenOut(Vec<TakenOut>),
    /// The batch is rolled back, and the class says how it goes on.
    Failed(FailedCall),
}

/// A checkout that the hook takes out of its batch.
#[derive(Debug)]
#[allow(dead_code, reason = "read by batches")]
pub(crate) struct TakenOut {
    /// The index in the list of accepted checkouts.
    pub(crate) index: usize,
    /// The answer of the checkout if it is of class `Permanent`. After a conflict or a busy system the checkout
    /// runs directly, as its attempts do without a batch.
    pub(crate) error: Error,
}

/// A call of a hook that failed as a whole.
#[derive(Debug)]
pub(crate) struct FailedCall(Arc<dyn StdError + Send + Sync>);

impl FailedCall {
    fn new(source: BoxError) -> Self {
        Self(Arc::from(source))
    }

    /// Returns the error for one of the batch's orders.
    #[allow(dead_code, reason = "called by batches")]
    pub(crate) fn error_of(&self, order: OrderId) -> Error {
        Error::hook(order, Box::new(OfBatch(Arc::clone(&self.0))))
    }
}

/// The class of the hook's error by itself. An error of the batch's own connection has that of the transaction that it
/// ended.
#[cfg(test)]
impl Classify for FailedCall {
    fn class(&self) -> Class {
        let source: BoxError = Box::new(OfBatch(Arc::clone(&self.0)));
        source.class()
    }
}

impl BatchAnswer {
    /// Judges the answer of a hook for these checkouts.
    pub(super) fn of(answer: Result<Refusals, BoxError>, accepted: &[Accepted]) -> Self {
        let refusals = match answer {
            Ok(refusals) => refusals.0,
            Err(failed) => return Self::Failed(FailedCall::new(failed)),
        };
        let indices = accepted.iter().map(|it| it.order.id).zip(0..);
        let indices: BTreeMap<OrderId, usize> = indices.collect();
        let mut taken_out = BTreeMap::new();
        let (unknown, refusals): (Vec<_>, Vec<_>) = refusals
            .into_iter()
            .partition(|(_, source)| source.class() == Class::Unknown);
        if let Some((_, source)) = unknown.into_iter().next() {
            return Self::Failed(FailedCall::new(source));
        }
        for (order, source) in refusals {
            let Some(index) = indices.get(&order) else {
                return Self::Failed(FailedCall::new(Box::new(NotInBatch(order))));
            };
            taken_out
                .entry(*index)
                .or_insert_with(|| Error::hook(order, source));
        }
        if taken_out.is_empty() {
            return Self::Accepted;
        }
        let taken_out = taken_out.into_iter();
        Self::TakenOut(
            taken_out
                .map(|(index, error)| TakenOut { index, error })
                .collect(),
        )
    }
}

/// A hook's error that all orders of a batch share. The class is found through its source, so the source is the
/// error itself: a pointer would return the source of the error inside.
#[derive(Debug)]
struct OfBatch(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for OfBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hook's call for the batch of this order failed")
    }
}

impl StdError for OfBatch {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the hook refused order {0}, which is not in the batch")]
struct NotInBatch(OrderId);

#[cfg(test)]
mod tests;
