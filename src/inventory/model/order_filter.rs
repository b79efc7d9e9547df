use super::{Order, OrderStatus};

/// A filter of orders, by customer and state.
///
/// ```
/// use optilock::inventory::{OrderFilter, OrderStatus};
///
/// let open = OrderFilter::all()
///     .with_customer("ana@example.org")
///     .with_status(OrderStatus::PendingPayment)
///     .with_status(OrderStatus::PaymentFailed);
/// # let _ = open;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct OrderFilter {
    pub(crate) customer: Option<String>,
    pub(crate) statuses: Vec<OrderStatus>,
    pub(crate) newest_first: bool,
}

impl OrderFilter {
    /// Creates a filter that selects every order; [void](OrderStatus::Void) orders only if a state selects
    /// them.
    pub const fn all() -> Self {
        Self {
            customer: None,
            statuses: Vec::new(),
            newest_first: false,
        }
    }

    /// Selects only orders of this customer; none, if it is a text that no order accepts.
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// Selects orders in this state, in addition to those of earlier calls.
    pub fn with_status(mut self, status: OrderStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Sorts from the newest order to the oldest; otherwise, from the oldest to the newest.
    ///
    /// A page [after](crate::inventory::Page::after) an order continues in this direction. The page before the first
    /// order of a page is the one after it in the other direction.
    pub const fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Returns whether the filter selects this order.
    #[must_use]
    pub fn matches(&self, order: &Order) -> bool {
        let customer = self.customer.as_deref();
        (customer.is_none() || customer == order.customer.as_deref())
            && match &*self.statuses {
                [] => order.status != OrderStatus::Void,
                statuses => statuses.contains(&order.status),
            }
    }
}
