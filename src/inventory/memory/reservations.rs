//! Reservations.

use std::time::Duration;

use super::{
    clock::now,
    holds::is_expired,
    ledger::Cause,
    store::{Store, customer_key},
};
use crate::inventory::model::{
    Error, Hold, HoldState, MovementKind, Reservation, ReservationId, Reserve, Shortage, Stock,
    reserve::check_duration,
};

impl Store {
    /// Returns a reservation, its expired holds as [`HoldState::Expired`].
    pub(super) fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        let stored = self.reservations.get(&id).cloned();
        let mut stored = stored.ok_or_else(|| Error::not_found(Reservation::ENTITY, id))?;
        let now = now();
        for hold in &mut stored.holds {
            if is_expired(hold, now) {
                hold.state = HoldState::Expired;
            }
        }
        Ok(stored)
    }

    pub(super) fn reserve(&mut self, request: Reserve) -> Result<Reservation, Error> {
        request.check()?;
        let key = customer_key(request.customer.as_ref(), request.key.as_ref());
        let known = key.as_ref().and_then(|key| self.reservation_keys.get(key));
        let known = match self.reservations.get(&request.id) {
            Some(stored) => Some(stored.id),
            None => known.copied(),
        };
        if let Some(id) = known {
            return request.replay(self.reservation(id)?);
        }
        let mut available = Vec::with_capacity(request.lines.len());
        for (sku, _) in &request.lines {
            let product = self.product(sku)?;
            available.push((product.available(), product.paused));
        }
        for ((sku, _), (_, paused)) in request.lines.iter().zip(&available) {
            if *paused {
                return Err(Error::product_paused(sku.clone()));
            }
        }
        // Expired holds are ended only if every line can be had.
        let short: Vec<Shortage> = request
            .lines
            .iter()
            .zip(available)
            .filter(|((_, quantity), (available, _))| *available < quantity.get())
            .map(|((sku, quantity), (available, _))| {
                Shortage::new(sku.clone(), *quantity, available + self.expired(sku, None))
            })
            .filter(|line| line.available < line.requested.get())
            .collect();
        if !short.is_empty() {
            return Err(Error::insufficient_stock(short));
        }
        let lines = request.lines.iter();
        let needed: Vec<_> = lines.map(|(sku, quantity)| (sku, quantity.get())).collect();
        while !self.expire(&needed, None)?.is_empty() {}
        let created_at = now();
        let expires_at = created_at + request.duration;
        let cause = Cause::of(MovementKind::Reserved).with_reservation(Some(request.id));
        let mut holds = Vec::with_capacity(request.lines.len());
        for (sku, quantity) in &request.lines {
            let mut product = self.product(sku)?.clone();
            product.reserved = Stock::stored(product.reserved.get() + quantity.get());
            self.put(product, cause)?;
            holds.push(Hold::new(sku.clone(), *quantity, expires_at));
        }
        let mut reservation = Reservation::new(request.id, holds, created_at);
        reservation.customer = request.customer;
        self.reservations
            .insert(reservation.id, reservation.clone());
        if let Some(key) = key {
            self.reservation_keys.insert(key, reservation.id);
        }
        Ok(reservation)
    }

    pub(super) fn extend(&mut self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        check_duration(by)?;
        let before = self.reservation(id)?;
        if !before.is_live() {
            return Err(before.closed());
        }
        let (now, until) = (now(), now() + by);
        if let Some(stored) = self.reservations.get_mut(&id) {
            for hold in &mut stored.holds {
                if hold.state == HoldState::Held && hold.expires_at > now {
                    hold.expires_at = hold.expires_at.max(until);
                }
            }
        }
        self.reservation(id)
    }

    /// Ends all holds of a reservation. Its expired holds hold nothing, and from now on cover nothing either.
    pub(super) fn release(&mut self, id: ReservationId) -> Result<(), Error> {
        self.reservation(id)?;
        let own = |owner, _: &Hold| owner == id;
        let cause = Cause::of(MovementKind::Released).with_reservation(Some(id));
        self.end_holds(own, HoldState::Released, cause)?;
        let released = self.reservations.get_mut(&id);
        for hold in released.into_iter().flat_map(|it| &mut it.holds) {
            if hold.state == HoldState::Expired {
                hold.state = HoldState::Released;
            }
        }
        Ok(())
    }
}
