//! Cancellations and returns in a plan.

use super::{Change, Outcome, Planner};
use crate::{
    Version,
    inventory::{
        batch::stock::changes::{OrderChange, ReturnedLine},
        model::{MovementKind, Order, OrderStep, ReturnRequest, order_step::Judged},
    },
};

impl<'a> Planner<'a> {
    pub(super) fn cancel(&mut self, step: &'a OrderStep) -> Option<Outcome<'a>> {
        let order = self.known.orders.get(&step.id)?;
        if self.changes.changed_orders.contains_key(&step.id) {
            return None;
        }
        if step.judge(order).ok()? == Judged::Made {
            let mut order = order.clone();
            order.replayed = true;
            return Some(Outcome::Replayed(order));
        }
        let cancelled = step.made(order).ok()?;
        for line in &order.lines {
            self.apply(&Change {
                sku: &line.sku,
                kind: MovementKind::GivenBack,
                stock: line.quantity.get(),
                reserved: 0,
                order: Some(order.id),
                reservation: None,
                reason: None,
            });
        }
        self.change_order(order.version, &cancelled, step.reason());
        Some(Outcome::Changed {
            before: order.version,
            after: cancelled,
        })
    }

    pub(super) fn give_back(&mut self, request: &'a ReturnRequest) -> Option<Outcome<'a>> {
        let order = self.known.orders.get(&request.order)?;
        if self.changes.changed_orders.contains_key(&request.order)
            || self.ids.contains(&request.id)
        {
            return None;
        }
        let returned = request.made(order).ok()?;
        self.ids.insert(request.id);
        for (sku, quantity) in &request.lines {
            let line = order.lines.iter().find(|line| line.sku == *sku);
            self.changes.returned_lines.push(ReturnedLine {
                order: order.id,
                sku,
                quantity: quantity.get(),
                before: line.map_or(0, |line| line.returned),
            });
            self.apply(&Change {
                sku,
                kind: MovementKind::Returned,
                stock: quantity.get(),
                reserved: 0,
                order: Some(order.id),
                reservation: None,
                reason: Some(&request.reason),
            });
        }
        self.changes.returns.push(request);
        self.change_order(order.version, &returned, None);
        Some(Outcome::Changed {
            before: order.version,
            after: returned,
        })
    }

    fn change_order(&mut self, before: Version, after: &Order, reason: Option<&'a str>) {
        let change = OrderChange {
            before,
            status: after.status,
            reason,
        };
        self.changes.changed_orders.insert(after.id, change);
    }
}
