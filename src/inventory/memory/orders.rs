//! Orders, their steps and return requests.

use std::ops::Bound;

use super::{
    clock::now,
    ledger::Cause,
    store::{Store, StoredOrder},
};
use crate::{
    Versioned,
    inventory::model::{
        Error, MovementKind, Order, OrderFilter, OrderId, OrderLine, OrderStep, Page, Product,
        ReturnRequest, Shortage, Sku,
        order_step::{Judged, Kind},
    },
};

impl Store {
    pub(super) fn order(&self, id: OrderId) -> Result<&Order, Error> {
        let stored = self.orders.get(&id).map(|stored| &stored.order);
        stored.ok_or_else(|| Error::not_found(Order::ENTITY, id))
    }

    pub(super) fn orders(&self, filter: &OrderFilter, page: &Page<OrderId>) -> Vec<Order> {
        let from = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let (oldest, newest) = match filter.newest_first {
            false => (from, Bound::Unbounded),
            true => (Bound::Unbounded, from),
        };
        let mut stored = self.orders.range((oldest, newest));
        let in_order = std::iter::from_fn(|| match filter.newest_first {
            false => stored.next(),
            true => stored.next_back(),
        });
        in_order
            .map(|(_, stored)| &stored.order)
            .filter(|order| filter.matches(order))
            .take(page.limit() as usize)
            .cloned()
            .collect()
    }

    pub(super) fn step(&mut self, step: &OrderStep) -> Result<Order, Error> {
        let mut order = self.order(step.id)?.clone();
        if step.judge(&order)? == Judged::Made {
            order.replayed = true;
            return Ok(order);
        }
        let order = step.made(&order)?;
        match step.kind {
            Kind::MarkPaid | Kind::MarkPaymentFailed => {}
            Kind::Cancel { .. } => self.give_back(&order)?,
            Kind::Revive => self.take_again(&order)?,
        }
        if let Some(stored) = self.replace(&order)
            && matches!(step.kind, Kind::Revive)
        {
            stored.pending_since = now();
        }
        Ok(order)
    }

    pub(super) fn return_items(&mut self, request: ReturnRequest) -> Result<Order, Error> {
        if let Some(made) = self.returns.get(&request.id) {
            if (made.order, &made.lines) != (request.order, &request.lines) {
                return Err(Error::idempotency_mismatch("return", request.id, None));
            }
            let mut order = self.order(request.order)?.clone();
            order.replayed = true;
            return Ok(order);
        }
        let order = request.made(self.order(request.order)?)?;
        let lines = request.lines.iter();
        let lines = lines.map(|(sku, quantity)| (sku, quantity.get()));
        let cause = Cause::of(MovementKind::Returned)
            .with_order(order.id)
            .with_reason(&request.reason);
        self.change_stock(lines, cause)?;
        self.replace(&order);
        self.returns.insert(request.id, request);
        Ok(order)
    }

    fn replace(&mut self, order: &Order) -> Option<&mut StoredOrder> {
        let stored = self.orders.get_mut(&order.id)?;
        stored.order = order.clone();
        Some(stored)
    }

    fn give_back(&mut self, order: &Order) -> Result<(), Error> {
        let lines = order.lines.iter();
        let lines = lines.map(|line| (&line.sku, line.quantity.get()));
        let cause = Cause::of(MovementKind::GivenBack).with_order(order.id);
        self.change_stock(lines, cause)
    }

    fn take_again(&mut self, order: &Order) -> Result<(), Error> {
        let paused = |line: &&OrderLine| self.product(&line.sku).is_ok_and(|it| it.paused);
        if let Some(line) = order.lines.iter().find(paused) {
            return Err(Error::product_paused(line.sku.clone()));
        }
        let mut short = self.short_lines(order);
        if !short.is_empty() {
            let skus: Vec<&Sku> = short.iter().map(|line| &line.sku).collect();
            if self.expire_all(&skus)?.holds > 0 {
                short = self.short_lines(order);
            }
        }
        if !short.is_empty() {
            return Err(Error::insufficient_stock(short));
        }
        let lines = order.lines.iter();
        let lines = lines.map(|line| (&line.sku, -line.quantity.get()));
        let cause = Cause::of(MovementKind::Revived).with_order(order.id);
        self.change_stock(lines, cause)
    }

    fn short_lines(&self, order: &Order) -> Vec<Shortage> {
        let available = |sku: &Sku| self.product(sku).map_or(0, Product::available);
        let lines = order.lines.iter();
        lines
            .map(|line| Shortage::new(line.sku.clone(), line.quantity, available(&line.sku)))
            .filter(|line| line.available < line.requested.get())
            .collect()
    }
}
