//! The requests of buyers and their answers, as lines of JSON from a client process to the supervisor.

use optilock::inventory::OrderStatus;
use serde::{Deserialize, Serialize};

/// The value of a UUID.
pub(crate) type Id = u128;

/// A product's name and a number of units.
pub(crate) type Line = (String, i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    Checkout {
        order: Id,
        lines: Vec<Line>,
        reservation: Option<Id>,
    },
    Step {
        order: Id,
        step: Step,
    },
    Return {
        order: Id,
        token: Id,
        line: Line,
    },
    Reserve {
        reservation: Id,
        lines: Vec<Line>,
    },
    Extend {
        reservation: Id,
    },
    Release {
        reservation: Id,
    },
    Adjust {
        token: Id,
        line: Line,
    },
    /// Cents from one account to another, in a transaction of the host's.
    Transfer {
        token: Id,
        from: i64,
        to: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    Pay,
    FailPayment,
    Cancel,
    Revive,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    /// Refused with this code. Nothing happened.
    Refused(String),
    /// The request was refused and may have taken effect.
    Unknown,
    /// The caller dropped the future.
    Dropped,
    /// The call did not return within the limit.
    Stuck,
}

/// A line of a client's standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    Begun(u64, Request),
    Ended(u64, Answer),
    /// The outbox has shown these orders, which are acknowledged next.
    Delivered(Vec<Id>),
}

/// The states of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Pending,
    Failed,
    Paid,
    Cancelled,
}

impl Status {
    pub(crate) const fn of(status: OrderStatus) -> Option<Self> {
        match status {
            OrderStatus::PendingPayment => Some(Self::Pending),
            OrderStatus::PaymentFailed => Some(Self::Failed),
            OrderStatus::Paid => Some(Self::Paid),
            OrderStatus::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Returns the state with this number in the table of orders.
    pub(crate) const fn of_number(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Pending),
            1 => Some(Self::Failed),
            2 => Some(Self::Paid),
            3 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

impl Step {
    /// Returns the state to which the step leads.
    pub(crate) const fn target(self) -> Status {
        match self {
            Self::Pay => Status::Paid,
            Self::FailPayment => Status::Failed,
            Self::Cancel => Status::Cancelled,
            Self::Revive => Status::Pending,
        }
    }

    /// Returns whether the step leads from this state to another one.
    pub(crate) const fn leads_from(self, status: Status) -> bool {
        matches!(
            (self, status),
            (Self::Pay, Status::Pending | Status::Failed)
                | (Self::FailPayment, Status::Pending)
                | (Self::Cancel, Status::Pending | Status::Failed)
                | (Self::Revive, Status::Cancelled)
        )
    }
}

impl Request {
    /// Returns the name of the operation.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Checkout {
                reservation: None, ..
            } => "checkout",
            Self::Checkout { .. } => "checkout from a reservation",
            Self::Step { step, .. } => match step {
                Step::Pay => "mark_paid",
                Step::FailPayment => "mark_payment_failed",
                Step::Cancel => "cancel",
                Step::Revive => "revive",
            },
            Self::Return { .. } => "return_items",
            Self::Reserve { .. } => "reserve",
            Self::Extend { .. } => "extend",
            Self::Release { .. } => "release",
            Self::Adjust { .. } => "adjust_stock",
            Self::Transfer { .. } => "transact",
        }
    }
}
