//! The holds of reservations: their units, their expiry and their end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{clock::now, ledger::Cause, store::Store};
use crate::inventory::model::{
    Cleanup, Error, Hold, HoldState, MovementKind, Product, ReservationId, Sku, Stock,
};

/// The most holds that one call of [`Store::expire`] ends, over all products.
const MAX_EXPIRED: usize = 256;

/// Returns whether a hold has expired and was not ended yet.
pub(super) fn is_expired(hold: &Hold, now: DateTime<Utc>) -> bool {
    hold.state == HoldState::Held && hold.expires_at <= now
}

impl Store {
    /// Returns the units of a product in expired holds, without those of the reservation `except`.
    pub(super) fn expired(&self, sku: &Sku, except: Option<ReservationId>) -> i64 {
        let now = now();
        let others = self.reservations.values();
        let others = others.filter(|reservation| Some(reservation.id) != except);
        let holds = others.flat_map(|reservation| &reservation.holds);
        holds
            .filter(|hold| hold.sku == *sku && is_expired(hold, now))
            .map(|hold| hold.held)
            .sum()
    }

    /// Returns the units of a product that a reservation counts as reserved, expired or not.
    pub(super) fn held(&self, id: Option<ReservationId>, sku: &Sku) -> i64 {
        self.held_where(id, sku, |_| true)
    }

    /// Returns the units of a product in the unexpired hold of a reservation.
    pub(super) fn held_unexpired(&self, id: Option<ReservationId>, sku: &Sku) -> i64 {
        let now = now();
        self.held_where(id, sku, |hold| hold.expires_at > now)
    }

    fn held_where(
        &self,
        id: Option<ReservationId>,
        sku: &Sku,
        counts: impl Fn(&Hold) -> bool,
    ) -> i64 {
        let reservation = id.and_then(|id| self.reservations.get(&id));
        let mut holds = reservation.into_iter().flat_map(|it| &it.holds);
        holds
            .find(|hold| hold.sku == *sku && hold.state == HoldState::Held && counts(hold))
            .map_or(0, |hold| hold.held)
    }

    /// Counts units that a checkout takes against the hold of its reservation, also if the hold has expired.
    /// Returns how many of them were reserved.
    pub(super) fn consume(&mut self, id: Option<ReservationId>, sku: &Sku, units: i64) -> i64 {
        let reservation = id.and_then(|id| self.reservations.get_mut(&id));
        let mut holds = reservation.into_iter().flat_map(|it| &mut it.holds);
        let covers = |hold: &&mut Hold| {
            hold.sku == *sku && matches!(hold.state, HoldState::Held | HoldState::Expired)
        };
        let Some(hold) = holds.find(covers) else {
            return 0;
        };
        let taken = units.min(hold.held);
        let reserved = match hold.state {
            HoldState::Held => taken,
            _ => 0,
        };
        hold.held -= taken;
        if hold.held == 0 {
            hold.state = HoldState::Consumed;
        }
        reserved
    }

    /// Ends the holds that `ends` selects, and gives their units back. Returns how many of both.
    pub(super) fn end_holds(
        &mut self,
        ends: impl Fn(ReservationId, &Hold) -> bool,
        state: HoldState,
        cause: Cause<'_>,
    ) -> Result<Cleanup, Error> {
        let mut units: BTreeMap<Sku, i64> = BTreeMap::new();
        let mut count = 0;
        for reservation in self.reservations.values_mut() {
            for hold in &mut reservation.holds {
                if hold.state == HoldState::Held && ends(reservation.id, hold) {
                    hold.state = state;
                    *units.entry(hold.sku.clone()).or_default() += hold.held;
                    count += 1;
                }
            }
        }
        let mut given_back = 0;
        for (sku, units) in units {
            if let Some(stored) = self.products.get(&sku) {
                let mut product = stored.product.clone();
                product.reserved = Stock::stored(product.reserved.get() - units);
                self.put(product, cause)?;
                given_back += units.unsigned_abs();
            }
        }
        Ok(Cleanup::of_holds(count, given_back))
    }

    /// Ends at most [`MAX_EXPIRED`] expired holds of the products that have fewer units than `needed`, the
    /// oldest first, without those of the reservation `except`. Returns the products that changed.
    pub(super) fn expire(
        &mut self,
        needed: &[(&Sku, i64)],
        except: Option<ReservationId>,
    ) -> Result<Vec<Sku>, Error> {
        let now = now();
        let is_short = |(sku, units): &&(&Sku, i64)| {
            let available = self.product(sku).map_or(0, Product::available);
            available + self.held(except, sku) < *units
        };
        let short: Vec<&Sku> = needed
            .iter()
            .filter(is_short)
            .map(|(sku, _)| *sku)
            .collect();
        let mut ending: BTreeMap<&Sku, BTreeSet<(DateTime<Utc>, ReservationId)>> = BTreeMap::new();
        for reservation in self.reservations.values() {
            for hold in &reservation.holds {
                if is_expired(hold, now)
                    && Some(reservation.id) != except
                    && let Some(sku) = short.iter().find(|sku| ***sku == hold.sku)
                {
                    let oldest = ending.entry(sku).or_default();
                    oldest.insert((hold.expires_at, reservation.id));
                    if oldest.len() > MAX_EXPIRED.div_ceil(short.len()) {
                        oldest.pop_last();
                    }
                }
            }
        }
        let ends = |id, hold: &Hold| {
            let ending = ending.get(&hold.sku);
            ending.is_some_and(|it| it.contains(&(hold.expires_at, id)))
        };
        let cause = Cause::of(MovementKind::Expired);
        self.end_holds(ends, HoldState::Expired, cause)?;
        Ok(ending.into_keys().cloned().collect())
    }

    /// Ends all expired holds of these products.
    pub(super) fn expire_all(&mut self, skus: &[&Sku]) -> Result<Cleanup, Error> {
        let now = now();
        let expired = |_, hold: &Hold| skus.contains(&&hold.sku) && is_expired(hold, now);
        let cause = Cause::of(MovementKind::Expired);
        self.end_holds(expired, HoldState::Expired, cause)
    }
}
