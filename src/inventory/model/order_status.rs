use std::fmt;

/// The state of an order.
///
/// ```text
///    checkout                mark_payment_failed
///        │      ┌──────────────────────────────────────┐
///        ▼      │                                      ▼
///  PendingPayment ────────────┬────────────── PaymentFailed
///    │        ▲               │                        │
///    │        │ revive        │ mark_paid              │
///    │        │               ▼                        │
///    │        │             Paid ── return_items       │
///    │        │                                        │
///    └──▶ Cancelled ◀──────────────────────────────────┘
///         cancel, cleanup_failed_orders
/// ```
///
/// Each arrow is one compare-and-set on the order, so of several concurrent ones exactly one wins. A step to
/// the state in which the order already is returns the order unchanged; a step that does not begin in the state
/// of the order is refused with [`InvalidOrderState`](crate::inventory::ErrorKind::InvalidOrderState).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum OrderStatus {
    /// The stock is taken and the payment is awaited.
    PendingPayment,
    /// A payment failed; another one may follow.
    PaymentFailed,
    /// The order is paid.
    Paid,
    /// The order is cancelled and its stock was given back.
    Cancelled,
    /// The checkout was refused after an attempt with an unknown outcome. The id is kept so that this attempt
    /// can't take effect later.
    Void,
}

impl OrderStatus {
    /// All states, in the order of their numbers.
    pub(crate) const ALL: [Self; 5] = [
        Self::PendingPayment,
        Self::PaymentFailed,
        Self::Paid,
        Self::Cancelled,
        Self::Void,
    ];

    /// Returns a stable name in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending-payment",
            Self::PaymentFailed => "payment-failed",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Void => "void",
        }
    }

    /// Returns the number that the database stores.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::PendingPayment => 0,
            Self::PaymentFailed => 1,
            Self::Paid => 2,
            Self::Cancelled => 3,
            Self::Void => 4,
        }
    }

    pub(crate) fn of_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
