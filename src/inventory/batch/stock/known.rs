//! What is known of the rows that requests touch, as of the last answers of the database.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::request::Request;
use crate::inventory::model::{Order, OrderId, Reservation, ReservationId, Sku, checkout::Facts};

/// The most products, and the most reservations, whose facts are kept between batches.
const MAX_KNOWN: usize = 100_000;

/// The facts of rows. The statement of a batch compares them with the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) products: HashMap<Sku, Facts>,
    pub(super) reservations: HashMap<ReservationId, Held>,
    /// Read by the batch itself, and not kept.
    pub(super) orders: HashMap<OrderId, Order>,
}

/// A reservation with the states of its holds as they are stored: a hold past its time is held until a
/// statement ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reservation: Reservation,
    /// Units that checkouts can still take from it.
    pub(super) remaining: i64,
    /// The time at which it was read, by the database's clock.
    pub(super) as_of: DateTime<Utc>,
}

/// The facts that are kept between batches.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Known>);

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that panics is done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the kept facts that these requests need.
    pub(super) fn of(&self, requests: &[&Request]) -> Known {
        let (all, mut some) = (self.known(), Known::default());
        for request in requests {
            for sku in skus(request) {
                if let Some(facts) = all.products.get(sku)
                    && !some.products.contains_key(sku)
                {
                    some.products.insert(sku.clone(), *facts);
                }
            }
            if let Some(id) = reservation(request)
                && let Some(held) = all.reservations.get(&id)
            {
                some.reservations.entry(id).or_insert_with(|| held.clone());
            }
        }
        some
    }

    /// Keeps these facts.
    pub(super) fn learn(&self, learnt: Known) {
        let mut all = self.known();
        if all.products.len() + learnt.products.len() > MAX_KNOWN {
            all.products.clear();
        }
        if all.reservations.len() + learnt.reservations.len() > MAX_KNOWN {
            all.reservations.clear();
        }
        all.products.extend(learnt.products);
        all.reservations.extend(learnt.reservations);
    }

    /// Forgets what these requests touch: the next batch reads it again.
    pub(super) fn forget<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) {
        let mut all = self.known();
        for request in requests {
            for sku in skus(request) {
                all.products.remove(sku);
            }
            if let Some(id) = reservation(request) {
                all.reservations.remove(&id);
            }
        }
    }
}

/// Returns the products that the request names.
pub(super) fn skus(request: &Request) -> Box<dyn Iterator<Item = &Sku> + Send + '_> {
    match request {
        Request::Checkout(request, _) => Box::new(request.lines.iter().map(|line| &line.sku)),
        Request::Reserve(request) => Box::new(request.lines.iter().map(|(sku, _)| sku)),
        // Units that come back need no facts of their product.
        Request::Return(..)
        | Request::Cancel(..)
        | Request::Extend { .. }
        | Request::Release(_) => Box::new(std::iter::empty()),
    }
}

/// Returns the reservation that the request uses or changes.
pub(super) const fn reservation(request: &Request) -> Option<ReservationId> {
    match request {
        Request::Checkout(request, _) => request.reservation,
        Request::Extend { id, .. } | Request::Release(id) => Some(*id),
        Request::Reserve(_) | Request::Cancel(..) | Request::Return(..) => None,
    }
}

/// Returns the order that the request changes.
pub(super) const fn order(request: &Request) -> Option<OrderId> {
    match request {
        Request::Cancel(step, _) => Some(step.id),
        Request::Return(request, _) => Some(request.order),
        _ => None,
    }
}
