use uuid::Uuid;

use super::{
    Error, OrderId, Quantity, Sku,
    line::{Line, merge},
    product::check_text,
};

/// A request to take some units of a paid order back into stock.
///
/// It carries its own id and takes effect once, however often it is sent. Over any number of returns
/// no more units come back than the order had.
///
/// ```
/// use optilock::inventory::{OrderId, Quantity, Return, Sku};
///
/// # fn doc(order: OrderId) -> Result<(), optilock::inventory::Error> {
/// let broken = Return::new(order, [(Sku::new("clay-pot")?, Quantity::ONE)], "arrived broken")?;
/// # let _ = broken;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pub(crate) id: Uuid,
    pub(crate) order: OrderId,
    pub(crate) lines: Vec<(Sku, Quantity)>,
    pub(crate) reason: String,
}

impl Return {
    /// These units of `order`, for `reason` (1 to 500 bytes). Lines of one product are merged.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] as for [`Checkout::new`](super::Checkout::new), and for a reason that is
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
        })
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
}
