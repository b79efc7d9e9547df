//! Checkouts in memory.

use std::collections::BTreeMap;

use super::{
    clock::now,
    ledger::Cause,
    store::{Store, StoredOrder, customer_key, next},
};
use crate::inventory::model::{
    Checkout, Error, MovementKind, Order, OrderLine, Sku, Stock, checkout::Facts,
};

impl Store {
    pub(super) fn checkout(&mut self, request: Checkout) -> Result<Order, Error> {
        request.check()?;
        let key = customer_key(request.customer.as_ref(), request.key.as_ref());
        let known = key.as_ref().and_then(|key| self.order_keys.get(key));
        let by_id = self.orders.get(&request.id);
        if let Some(stored) = by_id.or_else(|| self.orders.get(known?)) {
            return request.replay(stored.order.clone());
        }
        if let Some(id) = request.reservation {
            let reservation = self.reservation(id)?;
            reservation.admit(request.customer.as_deref())?;
        }
        let mut raised = BTreeMap::new();
        let mut facts = self.facts(&request, &raised);
        request.judge(&facts)?;
        while request.waits_for_expiry(&facts) {
            let lines = request.lines.iter();
            let needed: Vec<_> = lines.map(|line| (&line.sku, line.quantity.get())).collect();
            for sku in self.expire(&needed, request.reservation)? {
                *raised.entry(sku).or_default() += 1;
            }
            facts = self.facts(&request, &raised);
            request.judge(&facts)?;
        }
        let mut lines = Vec::with_capacity(facts.len());
        for (line, facts) in request.lines.iter().zip(facts.into_iter().flatten()) {
            next(facts.version)?;
            lines.push(OrderLine::new(line.sku.clone(), line.quantity, facts.price));
        }
        let mut order = Order::new(request.id, lines, now()).ok_or_else(Error::total_too_large)?;
        order.customer = request.customer;
        let cause = Cause::of(MovementKind::Sale)
            .with_order(order.id)
            .with_reservation(request.reservation);
        for line in &order.lines {
            let quantity = line.quantity.get();
            let taken = self.consume(request.reservation, &line.sku, quantity);
            let mut product = self.product(&line.sku)?.clone();
            product.stock = Stock::stored(product.stock.get() - quantity);
            product.reserved = Stock::stored(product.reserved.get() - taken);
            self.put(product, cause)?;
        }
        let stored = StoredOrder {
            order: order.clone(),
            pending_since: order.created_at,
        };
        self.orders.insert(order.id, stored);
        if let Some(key) = key {
            self.order_keys.insert(key, order.id);
        }
        Ok(order)
    }

    /// Returns the facts by which a checkout is judged, one per line.
    fn facts(&self, request: &Checkout, raised: &BTreeMap<Sku, i64>) -> Vec<Option<Facts>> {
        let lines = request.lines.iter();
        lines
            .map(|line| {
                let mut facts = Facts::from(self.product(&line.sku).ok()?);
                facts.available += self.held(request.reservation, &line.sku);
                facts.held = self.held_unexpired(request.reservation, &line.sku);
                facts.raised = raised.get(&line.sku).copied().unwrap_or_default();
                facts.expired = self.expired(&line.sku, request.reservation);
                Some(facts)
            })
            .collect()
    }
}
