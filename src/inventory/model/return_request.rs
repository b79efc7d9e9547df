use uuid::Uuid;

#[cfg(doc)]
use super::ErrorKind;
use super::{
    Error, Order, OrderId, OrderStatus, Quantity, Shortage, Sku,
    line::merge_units,
    order_step::{closed, unmoved},
    product::check_text,
};
use crate::Version;

/// A request to take units of a paid order back into stock.
///
/// It carries its own id and takes effect once, however often it is sent. Over all return requests, no more
/// units come back than the order had.
///
/// ```
/// use optilock::inventory::{OrderId, Quantity, ReturnRequest, Sku};
///
/// # fn doc(order: OrderId) -> Result<(), optilock::inventory::Error> {
/// let broken = ReturnRequest::new(order, [(Sku::new("clay-pot")?, Quantity::ONE)], "arrived broken")?;
/// # let _ = broken;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnRequest {
    pub(crate) id: Uuid,
    pub(crate) order: OrderId,
    pub(crate) lines: Vec<(Sku, Quantity)>,
    pub(crate) reason: String,
    pub(crate) expected: Option<Version>,
}

impl ReturnRequest {
    /// Creates a request to return these units of `order`, for `reason` (1 to 500 bytes). Lines of one product
    /// are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`Checkout::new`](crate::inventory::Checkout::new), and for a reason that
    /// is empty, too long, or contains a control character.
    pub fn new(
        order: OrderId,
        lines: impl IntoIterator<Item = (Sku, Quantity)>,
        reason: impl Into<String>,
    ) -> Result<Self, Error> {
        let reason = reason.into();
        check_text("reason", &reason)?;
        Ok(Self {
            id: Uuid::now_v7(),
            order,
            lines: merge_units("return", lines)?,
            reason,
            expected: None,
        })
    }

    /// Makes the return only at this version of the order: otherwise it is refused with
    /// [`ErrorKind::Conflict`], unless this return request took effect before.
    #[must_use]
    pub const fn expecting_version(mut self, version: Version) -> Self {
        self.expected = Some(version);
        self
    }

    /// Sets an id of the host's own, for instance that of the return slip.
    #[must_use]
    pub const fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Returns the id under which it takes effect once.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the order.
    #[must_use]
    pub const fn order(&self) -> OrderId {
        self.order
    }

    /// Returns the units, merged and sorted by SKU.
    #[must_use]
    pub fn lines(&self) -> &[(Sku, Quantity)] {
        &self.lines
    }

    /// Returns the order after the return, or why it is refused. The one place where a return is judged.
    pub(crate) fn made(&self, order: &Order) -> Result<Order, Error> {
        unmoved(order, self.expected)?;
        if order.status != OrderStatus::Paid {
            return Err(closed(order));
        }
        let mut order = order.clone();
        let mut too_many = Vec::new();
        for (sku, quantity) in &self.lines {
            let line = order.lines.iter_mut().find(|line| line.sku == *sku);
            let left = line
                .as_ref()
                .map_or(0, |line| line.quantity.get() - line.returned);
            match line {
                Some(line) if left >= quantity.get() => line.returned += quantity.get(),
                _ => too_many.push(Shortage::new(sku.clone(), *quantity, left)),
            }
        }
        if !too_many.is_empty() {
            return Err(Error::return_exceeds_order(too_many));
        }
        order.version = order.version.next().ok_or_else(Error::out_of_range)?;
        Ok(order)
    }
}
