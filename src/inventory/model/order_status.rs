use std::fmt;

/// Where an order stands.
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
/// Each arrow is one compare-and-set on the order, so of several at once exactly one wins. An arrow
/// that is asked for again, to where the order already is, is answered with the order as it is; one
/// that does not begin where the order stands is refused with
/// [`InvalidOrderState`](crate::inventory::ErrorKind::InvalidOrderState).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum OrderStatus {
    /// Its stock is taken and its payment is awaited.
    PendingPayment,
    /// A payment failed; another may follow.
    PaymentFailed,
    /// Paid.
    Paid,
    /// Cancelled; its stock was given back.
    Cancelled,
    /// Never an order: its checkout was refused after an attempt whose outcome was unknown, and the
    /// id is kept so that this attempt cannot take effect later.
    Void,
}

impl OrderStatus {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 5] = [
        Self::PendingPayment,
        Self::PaymentFailed,
        Self::Paid,
        Self::Cancelled,
        Self::Void,
    ];

    /// Stable, in kebab case.
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

    /// Returns the number under which the database keeps it.
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
