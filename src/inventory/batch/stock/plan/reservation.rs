//! Reservations in a plan, and changes of them.

use std::time::Duration;

use super::{Change, Entity, Outcome, Planner, checkout::live};
use crate::inventory::{
    batch::stock::{changes::Remaining, known::Held},
    model::{HoldState, MovementKind, ReservationId, Reserve},
};

impl<'a> Planner<'a> {
    /// Returns a known reservation as the accepted requests leave it.
    pub(super) fn held(&mut self, id: ReservationId) -> Option<&Held> {
        let known = self.known.reservations.get(&id)?;
        let held = self.reservations.entry(id);
        Some(held.or_insert_with(|| known.clone()))
    }

    pub(super) fn reserve(&mut self, request: &'a Reserve) -> Option<Outcome<'a>> {
        let (id, key) = (request.id.uuid(), request.key.as_deref());
        let customer = request.customer.as_deref();
        if !self.is_new(Entity::Reservation, id, customer, key) {
            return None;
        }
        for (sku, quantity) in &request.lines {
            let facts = self.facts(sku)?;
            if facts.paused || facts.available < quantity.get() || facts.version.next().is_none() {
                return None;
            }
        }
        self.remember(Entity::Reservation, id, customer, key);
        for (sku, quantity) in &request.lines {
            self.require(sku, quantity.get(), None);
            self.apply(&Change {
                sku,
                kind: MovementKind::Reserved,
                stock: 0,
                reserved: quantity.get(),
                order: None,
                reservation: Some(request.id),
                reason: None,
            });
        }
        self.changes.reservations.push(request);
        Some(Outcome::Reserved(request))
    }

    pub(super) fn extend(&mut self, id: ReservationId, by: Duration) -> Option<Outcome<'a>> {
        let known = self.known.reservations.get(&id)?;
        let held = self.held(id)?;
        let extended = |held: &Held, index: usize| {
            let hold = &held.reservation.holds[index];
            let expired = hold.expires_at <= held.as_of;
            (hold.state == HoldState::Held && !expired).then_some((hold.held, hold.state))
        };
        let live: Vec<_> = (0..held.reservation.holds.len())
            .filter_map(|index| Some((index, extended(held, index)?)))
            .collect();
        if live.is_empty() {
            return None;
        }
        for (index, state) in live {
            let change = self.change_hold(id, &known.reservation.holds[index].sku, state)?;
            change.extension = change.extension.max(by);
        }
        self.held(id).cloned().map(Outcome::Extended)
    }

    pub(super) fn release(&mut self, id: ReservationId) -> Option<Outcome<'a>> {
        let known = self.known.reservations.get(&id)?;
        let held = self.held(id)?;
        if held.remaining <= 0 {
            return None;
        }
        let remaining = held.remaining;
        let open: Vec<_> = held
            .reservation
            .holds
            .iter()
            .zip(&known.reservation.holds)
            .filter(|(hold, _)| matches!(hold.state, HoldState::Held | HoldState::Expired))
            .map(|(hold, known)| (&known.sku, hold.held, live(hold), hold.state))
            .collect();
        for (sku, units, reserved, state) in open {
            self.change_hold(id, sku, (units, HoldState::Released))?;
            if state == HoldState::Held {
                self.apply(&Change {
                    sku,
                    kind: MovementKind::Released,
                    stock: 0,
                    reserved: -reserved,
                    order: None,
                    reservation: Some(id),
                    reason: None,
                });
            }
        }
        self.take_from(id, remaining);
        Some(Outcome::Released)
    }

    /// Lowers the remaining units of a reservation, which is known.
    pub(super) fn take_from(&mut self, id: ReservationId, units: i64) {
        if let Some(held) = self.reservations.get_mut(&id) {
            let before = held.remaining;
            held.remaining -= units;
            let change = self.changes.changed_reservations.entry(id);
            let change = change.or_insert(Remaining {
                before,
                after: before,
            });
            change.after = held.remaining;
        }
    }
}
