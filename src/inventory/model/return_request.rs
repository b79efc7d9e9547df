#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use uuid::Uuid;

use super::{
    Error, Order, OrderId, OrderStatus, Quantity, Shortage, Sku,
    line::{Line, merge},
    order_step::{closed, unmoved},
    product::check_text,
};
use crate::Version;

/// A request to take some units of a paid order back into stock.
///
/// It carries its own id and takes effect once, however often it is sent. Over any number of returns
/// no more units come back than the order had.
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
    /// These units of `order`, for `reason` (1 to 500 bytes). Lines of one product are merged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`Checkout::new`](crate::inventory::Checkout::new), and for a reason that is
    /// empty, too long, or holds a control character.
    pub fn new(
        order: OrderId,
        lines: impl IntoIterator<Item = (Sku, Quantity)>,
        reason: impl Into<String>,
    ) -> Result<Self, Error> {
        let reason = reason.into();
        check_text("reason", &reason)?;
        let lines = lines
            .into_iter()
            .map(|(sku, quantity)| Line::new(sku, quantity));
        let lines = merge("return", lines)?;
        Ok(Self {
            id: Uuid::now_v7(),
            order,
            lines: lines
                .into_iter()
                .map(|line| (line.sku, line.quantity))
                .collect(),
            reason,
            expected: None,
        })
    }

    /// Makes the return only at this version of the order: otherwise [`ErrorKind::Conflict`], unless this very
    /// return was made before.
    #[must_use]
    pub const fn expecting_version(mut self, version: Version) -> Self {
        self.expected = Some(version);
        self
    }

    /// With an id of the host's own, for instance that of the return slip.
    #[must_use]
    pub const fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// The id under which it takes effect once.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// The order.
    #[must_use]
    pub const fn order(&self) -> OrderId {
        self.order
    }

    /// The units, merged and sorted by SKU.
    #[must_use]
    pub fn lines(&self) -> &[(Sku, Quantity)] {
        &self.lines
    }

    /// The order after the return, or why it is refused. The one place where a return is judged.
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
