//! The requests that change stock, and their answers.

use std::{sync::Arc, time::Duration};

use crate::inventory::{
    batch::job::Keys,
    model::{Checkout, Order, OrderStep, Reservation, ReservationId, Reserve, ReturnRequest},
    postgres::{checkout, orders::doubt::Doubt},
    traffic::Clock,
};

/// A request that changes the stock or the reserved units of products.
#[derive(Debug)]
pub(crate) enum Request {
    /// With the measurement of it.
    Checkout(Checkout, Arc<Clock>),
    Reserve(Reserve),
    Extend {
        id: ReservationId,
        by: Duration,
    },
    Release(ReservationId),
    Cancel(OrderStep, Doubt),
    Return(ReturnRequest, Doubt),
}

/// The answer to an accepted request.
#[derive(Debug)]
pub(crate) enum Answer {
    Order(Order),
    Reservation(Reservation),
    Released,
}

impl Request {
    /// Returns what the request contends for, as far as it is known before it is read. The products of a
    /// cancellation and of a changed reservation are not.
    pub(super) fn keys(&self) -> Keys {
        let product = |sku: &_| Keys::key("product", sku);
        let reservation = |id: ReservationId| Keys::key("reservation", id.uuid());
        match self {
            Self::Checkout(request, _) => {
                let products = request.lines.iter().map(|line| product(&line.sku));
                let used = request.reservation.map(reservation);
                products.chain(used).collect()
            }
            Self::Reserve(request) => request.lines.iter().map(|(sku, _)| product(sku)).collect(),
            Self::Extend { id, .. } | Self::Release(id) => [reservation(*id)].into_iter().collect(),
            Self::Cancel(step, _) => [Keys::key("order", step.id.uuid())].into_iter().collect(),
            Self::Return(request, _) => {
                let products = request.lines.iter().map(|(sku, _)| product(sku));
                let order = Keys::key("order", request.order.uuid());
                products.chain([order]).collect()
            }
        }
    }

    /// Returns the number of lines.
    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Checkout(request, _) => request.lines.len(),
            Self::Reserve(request) => request.lines.len(),
            Self::Return(request, _) => request.lines.len(),
            Self::Extend { .. } | Self::Release(_) | Self::Cancel(..) => 1,
        }
    }

    /// Returns the name of the request in events and metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Checkout(..) => checkout::LABEL,
            Self::Reserve(_) => "reserve",
            Self::Extend { .. } => "extend",
            Self::Release(_) => "release",
            Self::Cancel(step, _) => step.label(),
            Self::Return(..) => "return items",
        }
    }

    /// Returns whether the request creates a row of its own id, so that it takes effect once.
    pub(super) const fn is_new_row(&self) -> bool {
        matches!(self, Self::Checkout(..) | Self::Reserve(_))
    }

    /// Returns the version guard of a change of an order.
    pub(super) const fn doubt(&self) -> Option<&Doubt> {
        match self {
            Self::Cancel(_, doubt) | Self::Return(_, doubt) => Some(doubt),
            _ => None,
        }
    }
}
