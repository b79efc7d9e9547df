#[cfg(doc)]
use super::OnAccepted;
use crate::inventory::model::{BoxError, OrderId};

/// The checkouts of a batch that a hook refuses: the answer of [`OnAccepted::on_accepted_many`].
///
/// ```
/// use optilock::inventory::{Accepted, Refusals};
///
/// fn refuse_without_address(accepted: &[Accepted]) -> Refusals {
///     let mut refusals = Refusals::none();
///     for accepted in accepted.iter().filter(|it| it.context::<String>().is_none()) {
///         refusals.refuse(accepted.order.id, "it has no address");
///     }
///     refusals
/// }
/// assert!(refuse_without_address(&[]).is_empty());
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Refusals(pub(super) Vec<(OrderId, BoxError)>);

impl Refusals {
    /// Accepts every checkout of the batch.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Refuses one checkout of the batch.
    pub fn of(order: OrderId, error: impl Into<BoxError>) -> Self {
        Self(vec![(order, error.into())])
    }

    /// Refuses another checkout of the batch. For an order that is refused already, the first error counts.
    pub fn refuse(&mut self, order: OrderId, error: impl Into<BoxError>) {
        self.0.push((order, error.into()));
    }

    /// Returns whether no checkout is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the answer for a batch of one checkout.
    ///
    /// # Errors
    ///
    /// The error of the first refused checkout.
    pub fn into_result(self) -> Result<(), BoxError> {
        self.0
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Returns the refused orders with their errors, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (OrderId, &BoxError)> {
        self.0.iter().map(|(order, error)| (*order, error))
    }
}
