//! Orders that this process has created and that await payment.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use super::{plan::Read, request::Request};
use crate::inventory::model::{Order, OrderId, OrderStatus, order_step::Judged};

/// The most orders that are kept. Older ones are read when they are paid.
const MAX: usize = 10_000;

/// The orders that this process has created last, and the last ones whose payment failed, for a payment that
/// follows. They may have been changed since: who uses them has to verify their versions.
#[derive(Debug, Default)]
pub(super) struct KnownOrders(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    orders: HashMap<OrderId, Order>,
    /// In the order in which they became known. May name orders that are not kept any more.
    ids: VecDeque<OrderId>,
}

impl KnownOrders {
    /// Keeps an order that has just been written, if it awaits payment.
    pub(super) fn learn(&self, order: &Order) {
        let awaits = matches!(
            order.status,
            OrderStatus::PendingPayment | OrderStatus::PaymentFailed
        );
        if order.replayed || !awaits {
            return;
        }
        let (id, order) = (order.id, order.clone());
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.orders.insert(id, order);
        state.ids.push_back(id);
        while state.ids.len() > MAX {
            let oldest = state.ids.pop_front();
            oldest.and_then(|id| state.orders.remove(&id));
        }
    }

    /// Removes and returns the orders on which the first request begins. Any other judgement would need the
    /// current order.
    pub(super) fn take(&self, batch: &[Arc<Request>]) -> HashMap<OrderId, Read> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = HashMap::with_capacity(batch.len());
        if state.orders.is_empty() {
            return taken;
        }
        for Request { step, .. } in batch.iter().map(AsRef::as_ref) {
            if let Entry::Vacant(place) = taken.entry(step.id)
                && let Some(order) = state.orders.remove(&step.id)
                && matches!(step.judge(&order), Ok(Judged::Begins))
            {
                place.insert(Read::known(order));
            }
        }
        taken
    }
}
