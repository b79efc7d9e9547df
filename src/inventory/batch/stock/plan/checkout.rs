//! Checkouts in a plan.

use super::{Change, Entity, Outcome, Planner};
use crate::inventory::{
    batch::stock::changes::{HoldChange, NewOrder},
    model::{Checkout, Hold, HoldState, Money, MovementKind, ReservationId, Sku, checkout::Facts},
};

impl<'a> Planner<'a> {
    pub(super) fn checkout(&mut self, request: &'a Checkout) -> Option<Outcome<'a>> {
        let (id, key) = (request.id.uuid(), request.key.as_deref());
        let customer = request.customer.as_deref();
        if !self.is_new(Entity::Order, id, customer, key) {
            return None;
        }
        let holds = match request.reservation {
            Some(reservation) => self.usable(reservation, customer)?,
            None => Vec::new(),
        };
        let hold_of = |sku: &Sku| holds.iter().find(|hold: &&Hold| hold.sku == *sku);
        let facts: Vec<Option<Facts>> = request
            .lines
            .iter()
            .map(|line| {
                let mut facts = self.facts(&line.sku)?;
                facts.available += hold_of(&line.sku).map_or(0, live);
                Some(facts)
            })
            .collect();
        request.judge(&facts).ok()?;
        let facts: Vec<Facts> = facts.into_iter().collect::<Option<_>>()?;
        let prices: Vec<Money> = facts.iter().map(|facts| facts.price).collect();
        let total = request.total(prices.iter().copied()).ok()?;
        if facts.iter().any(|facts| facts.version.next().is_none()) {
            return None;
        }

        self.remember(Entity::Order, id, customer, key);
        let mut used = 0;
        for (line, price) in request.lines.iter().zip(&prices) {
            let hold = hold_of(&line.sku);
            let reserved = hold.map_or(0, live).min(line.quantity.get());
            let quantity = line.quantity.get();
            self.require(&line.sku, quantity - hold.map_or(0, live), Some(*price));
            if line.version.is_some() {
                let before = self.known.products.get(&line.sku);
                let before = before.map(|facts| facts.version);
                self.change_of(&line.sku).pinned = before;
            }
            self.apply(&Change {
                sku: &line.sku,
                kind: MovementKind::Sale,
                stock: -quantity,
                reserved: -reserved,
                order: Some(request.id),
                reservation: request.reservation,
                reason: None,
            });
            if let (Some(hold), Some(id)) = (hold, request.reservation) {
                let taken = hold.held.min(quantity);
                used += taken;
                let state = if hold.held == taken {
                    HoldState::Consumed
                } else {
                    hold.state
                };
                self.change_hold(id, &line.sku, (hold.held - taken, state));
            }
        }
        if let Some(id) = request.reservation {
            self.take_from(id, used);
        }
        self.changes.orders.push(NewOrder { request, total });
        Some(Outcome::Sold { request, prices })
    }

    /// Returns the holds of a reservation from which this customer can take units.
    fn usable(&mut self, id: ReservationId, customer: Option<&str>) -> Option<Vec<Hold>> {
        let held = self.held(id)?;
        if held.remaining <= 0 || held.reservation.admit(customer).is_err() {
            return None;
        }
        let holds = held.reservation.holds.iter();
        let usable =
            holds.filter(|hold| !matches!(hold.state, HoldState::Consumed | HoldState::Released));
        Some(usable.cloned().collect())
    }

    /// Records a change of a hold, which is known.
    pub(super) fn change_hold(
        &mut self,
        id: ReservationId,
        sku: &'a Sku,
        after: (i64, HoldState),
    ) -> Option<&mut HoldChange> {
        let held = self.reservations.get_mut(&id)?;
        let hold = held
            .reservation
            .holds
            .iter_mut()
            .find(|hold| hold.sku == *sku)?;
        let before = (hold.held, hold.state);
        (hold.held, hold.state) = after;
        let change = self
            .changes
            .changed_holds
            .entry((sku, id))
            .or_insert(HoldChange {
                before,
                after,
                extension: std::time::Duration::ZERO,
                expires_at: hold.expires_at,
            });
        change.after = after;
        Some(change)
    }
}

/// Returns the units that the hold counts as reserved.
pub(super) fn live(hold: &Hold) -> i64 {
    match hold.state {
        HoldState::Held => hold.held,
        _ => 0,
    }
}
