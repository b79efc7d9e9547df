//! What is behind the lock: products, their ledgers, and orders.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use crate::{
    Version, Versioned,
    inventory::model::{
        Audit, Cleanup, Discrepancy, DiscrepancyKind, Error, Hold, HoldState, Movement,
        MovementKind, Order, OrderId, OrderLine, OrderStep, Product, Reservation, ReservationId,
        ReturnRequest, Shortage, Sku, Stock,
        order_step::{Judged, Kind},
    },
};

/// Holds that one piece of expiry ends, over all products.
const PIECE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Shop {
    pub(super) products: BTreeMap<Sku, Shelf>,
    pub(super) orders: BTreeMap<OrderId, Kept>,
    /// By customer and key.
    pub(super) keys: BTreeMap<(Option<String>, String), OrderId>,
    pub(super) adjustments: BTreeMap<Uuid, (Sku, i64)>,
    pub(super) returns: BTreeMap<Uuid, ReturnRequest>,
    /// As they were stored: a hold whose time is up stays held until it is lapsed.
    pub(super) reservations: BTreeMap<ReservationId, Reservation>,
    /// By customer and key.
    pub(super) reservation_keys: BTreeMap<(Option<String>, String), ReservationId>,
}

#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) product: Product,
    pub(super) retired: bool,
    pub(super) ledger: Vec<Movement>,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) order: Order,
    /// Since when it has awaited payment.
    pub(super) pending_since: DateTime<Utc>,
}

/// Why a product changes: what its ledger keeps beside the numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    kind: MovementKind,
    order: Option<OrderId>,
    reservation: Option<ReservationId>,
    reason: Option<&'a str>,
}

impl<'a> Cause<'a> {
    pub(super) const fn of(kind: MovementKind) -> Self {
        Self {
            kind,
            order: None,
            reservation: None,
            reason: None,
        }
    }

    pub(super) const fn with_order(mut self, order: OrderId) -> Self {
        self.order = Some(order);
        self
    }

    pub(super) const fn with_reservation(mut self, reservation: Option<ReservationId>) -> Self {
        self.reservation = reservation;
        self
    }

    pub(super) const fn with_reason(mut self, reason: &'a str) -> Self {
        self.reason = Some(reason);
        self
    }
}

impl Shop {
    pub(super) fn find(&self, sku: &Sku) -> Result<&Product, Error> {
        match self.products.get(sku) {
            Some(shelf) if !shelf.retired => Ok(&shelf.product),
            _ => Err(Error::no_product(sku)),
        }
    }

    /// A new product, at version 1.
    pub(super) fn add(&mut self, mut product: Product) -> Product {
        product.created_at = now();
        product.updated_at = product.created_at;
        let mut shelf = Shelf {
            product,
            retired: false,
            ledger: Vec::new(),
        };
        shelf.record(Cause::of(MovementKind::Added), shelf.product.stock.get());
        let product = shelf.product.clone();
        self.products.insert(product.sku.clone(), shelf);
        product
    }

    /// Puts a changed product in its place, one version on.
    pub(super) fn put(&mut self, product: Product, cause: Cause<'_>) -> Result<Product, Error> {
        let version = next(product.version)?;
        let Some(shelf) = self.products.get_mut(&product.sku) else {
            return Err(Error::no_product(&product.sku));
        };
        let delta = product
            .stock
            .get()
            .saturating_sub(shelf.product.stock.get());
        shelf.retired = matches!(cause.kind, MovementKind::Retired)
            || shelf.retired && !matches!(cause.kind, MovementKind::Added);
        let before = shelf.product.updated_at;
        shelf.product = product;
        shelf.product.version = version;
        shelf.product.updated_at = now().max(before);
        shelf.record(cause, delta);
        Ok(shelf.product.clone())
    }

    /// So many units more of each (fewer, when negative). Each was found to fit.
    pub(super) fn shift<'a>(
        &mut self,
        lines: impl IntoIterator<Item = (&'a Sku, i64)>,
        cause: Cause<'_>,
    ) -> Result<(), Error> {
        let mut changed = Vec::new();
        for (sku, delta) in lines {
            let Some(shelf) = self.products.get(sku) else {
                return Err(Error::no_product(sku));
            };
            let mut product = shelf.product.clone();
            let stock = product.stock.get().checked_add(delta);
            product.stock = stock.map(Stock::stored).ok_or_else(Error::out_of_range)?;
            next(product.version)?;
            changed.push(product);
        }
        for product in changed {
            self.put(product, cause)?;
        }
        Ok(())
    }

    /// Units of a product in holds that have run out, but for those of one reservation.
    pub(super) fn expired(&self, sku: &Sku, but: Option<ReservationId>) -> i64 {
        let now = now();
        let others = self.reservations.values();
        let others = others.filter(|reservation| Some(reservation.id) != but);
        let holds = others.flat_map(|reservation| &reservation.holds);
        holds
            .filter(|hold| hold.sku == *sku && is_due(hold, now))
            .map(|hold| hold.held)
            .sum()
    }

    /// Units of a product that a reservation holds as reserved, expired or not.
    pub(super) fn held(&self, id: Option<ReservationId>, sku: &Sku) -> i64 {
        let reservation = id.and_then(|id| self.reservations.get(&id));
        let mut holds = reservation.into_iter().flat_map(|it| &it.holds);
        holds
            .find(|hold| hold.sku == *sku && hold.state == HoldState::Held)
            .map_or(0, |hold| hold.held)
    }

    /// The same, of a hold that has not expired.
    pub(super) fn held_unexpired(&self, id: Option<ReservationId>, sku: &Sku) -> i64 {
        let now = now();
        let reservation = id.and_then(|id| self.reservations.get(&id));
        let holds = reservation.into_iter().flat_map(|it| &it.holds);
        let live = |hold: &&Hold| hold.sku == *sku && hold.state == HoldState::Held;
        holds
            .filter(live)
            .find(|hold| hold.expires_at > now)
            .map_or(0, |hold| hold.held)
    }

    /// Counts units that a checkout takes against what a reservation holds of them, or held until it
    /// expired; how many of them were reserved.
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
        let reserved = if hold.state == HoldState::Held {
            taken
        } else {
            0
        };
        hold.held -= taken;
        if hold.held == 0 {
            hold.state = HoldState::Consumed;
        }
        reserved
    }

    /// Ends holds and gives their units back: how many, and of how many units.
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
            if let Some(shelf) = self.products.get(&sku) {
                let mut product = shelf.product.clone();
                product.reserved = Stock::stored(product.reserved.get() - units);
                self.put(product, cause)?;
                given_back += units.unsigned_abs();
            }
        }
        Ok(Cleanup::of_holds(count, given_back))
    }

    /// Ends a piece of the expired holds of the products that are short of these units, the oldest first,
    /// but for those of one reservation; the products that changed.
    pub(super) fn expire(
        &mut self,
        needed: &[(&Sku, i64)],
        but: Option<ReservationId>,
    ) -> Result<Vec<Sku>, Error> {
        let now = now();
        let is_short = |(sku, units): &&(&Sku, i64)| {
            let available = self.find(sku).map_or(0, Product::available);
            available + self.held(but, sku) < *units
        };
        let short: Vec<&Sku> = needed
            .iter()
            .filter(is_short)
            .map(|(sku, _)| *sku)
            .collect();
        let mut ending: BTreeMap<&Sku, BTreeSet<(DateTime<Utc>, ReservationId)>> = BTreeMap::new();
        for reservation in self.reservations.values() {
            for hold in &reservation.holds {
                if is_due(hold, now)
                    && Some(reservation.id) != but
                    && let Some(sku) = short.iter().find(|sku| ***sku == hold.sku)
                {
                    let oldest = ending.entry(sku).or_default();
                    oldest.insert((hold.expires_at, reservation.id));
                    if oldest.len() > PIECE.div_ceil(short.len()) {
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

    /// Ends all holds of a reservation. Those that have expired hold nothing any more, and cover nothing from
    /// now on.
    pub(super) fn release(&mut self, id: ReservationId) -> Result<(), Error> {
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

    /// Ends all expired holds of these products.
    pub(super) fn lapse(&mut self, skus: &[&Sku]) -> Result<Cleanup, Error> {
        let now = now();
        let due = |_, hold: &Hold| skus.contains(&&hold.sku) && is_due(hold, now);
        let cause = Cause::of(MovementKind::Expired);
        self.end_holds(due, HoldState::Expired, cause)
    }

    /// Nothing but this crate writes here, so the books of products are all that could be wrong.
    pub(super) fn audit(&self) -> Audit {
        let mut found = Vec::new();
        for (sku, shelf) in &self.products {
            let product = &shelf.product;
            let mut tell = |kind, expected, is| {
                if expected != is {
                    found.push(Discrepancy::new(kind, sku.as_str(), expected, is));
                }
            };
            let sum = shelf.ledger.iter().map(|movement| movement.delta).sum();
            tell(DiscrepancyKind::Stock, sum, product.stock.get());
            let count = i64::try_from(shelf.ledger.len()).unwrap_or(i64::MAX);
            tell(DiscrepancyKind::Versions, product.version.get(), count);
            let reservations = self.reservations.values();
            let holds = reservations.flat_map(|reservation| &reservation.holds);
            let live = holds.filter(|hold| hold.sku == *sku && hold.state == HoldState::Held);
            let held = live.map(|hold| hold.held).sum();
            tell(DiscrepancyKind::Reserved, held, product.reserved.get());
        }
        found.sort_by_key(|discrepancy| discrepancy.kind);
        Audit::new(found)
    }

    /// The reservation as a reader sees it.
    pub(super) fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        let found = self.reservations.get(&id).cloned();
        let mut found = found.ok_or_else(|| Error::not_found(Reservation::ENTITY, id))?;
        let now = now();
        for hold in &mut found.holds {
            if is_due(hold, now) {
                hold.state = HoldState::Expired;
            }
        }
        Ok(found)
    }

    pub(super) fn order(&self, id: OrderId) -> Result<&Kept, Error> {
        let found = self.orders.get(&id);
        found.ok_or_else(|| Error::not_found(Order::ENTITY, id))
    }

    pub(super) fn keep(&mut self, order: &Order) {
        if let Some(kept) = self.orders.get_mut(&order.id) {
            kept.order = order.clone();
        }
    }

    /// Makes a step of an order.
    pub(super) fn step(&mut self, step: &OrderStep) -> Result<Order, Error> {
        let mut order = self.order(step.id)?.order.clone();
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
        self.keep(&order);
        if let (Kind::Revive, Some(kept)) = (&step.kind, self.orders.get_mut(&order.id)) {
            kept.pending_since = now();
        }
        Ok(order)
    }

    fn give_back(&mut self, order: &Order) -> Result<(), Error> {
        let lines = order.lines.iter();
        let lines = lines.map(|line| (&line.sku, line.quantity.get()));
        let cause = Cause::of(MovementKind::GivenBack).with_order(order.id);
        self.shift(lines, cause)
    }

    fn take_again(&mut self, order: &Order) -> Result<(), Error> {
        let paused = |line: &&OrderLine| self.find(&line.sku).is_ok_and(|it| it.paused);
        if let Some(line) = order.lines.iter().find(paused) {
            let sku = line.sku.clone();
            return Err(Error::product_paused(sku));
        }
        let short = |shop: &Self| -> Vec<Shortage> {
            let available = |sku: &Sku| shop.find(sku).map_or(0, Product::available);
            let lines = order.lines.iter();
            lines
                .map(|line| Shortage::new(line.sku.clone(), line.quantity, available(&line.sku)))
                .filter(|line| line.available < line.requested.get())
                .collect()
        };
        let mut missing = short(self);
        if !missing.is_empty() {
            let skus: Vec<&Sku> = missing.iter().map(|line| &line.sku).collect();
            if self.lapse(&skus)?.holds > 0 {
                missing = short(self);
            }
        }
        if !missing.is_empty() {
            return Err(Error::insufficient_stock(missing));
        }
        let taken = order.lines.iter();
        let taken = taken.map(|line| (&line.sku, -line.quantity.get()));
        let cause = Cause::of(MovementKind::Revived).with_order(order.id);
        self.shift(taken, cause)
    }
}

impl Shelf {
    fn record(&mut self, cause: Cause<'_>, delta: i64) {
        let product = &self.product;
        let (sku, stock) = (product.sku.clone(), product.stock.get());
        let mut movement = Movement::new(sku, product.version, cause.kind, delta, stock);
        movement.order = cause.order;
        movement.reservation = cause.reservation;
        movement.reason = cause.reason.map(ToOwned::to_owned);
        movement.moved_at = product.updated_at;
        self.ledger.push(movement);
    }
}

/// Whether a hold's time is up and nobody has ended it.
pub(super) fn is_due(hold: &Hold, now: DateTime<Utc>) -> bool {
    hold.state == HoldState::Held && hold.expires_at <= now
}

/// Whether it is that long ago. What is just now is no time ago.
pub(super) fn is_older(since: DateTime<Utc>, age: Duration, now: DateTime<Utc>) -> bool {
    (now - since).to_std().unwrap_or_default() >= age
}

/// To the microsecond, as PostgreSQL keeps it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

pub(super) fn next(version: Version) -> Result<Version, Error> {
    version.next().ok_or_else(Error::out_of_range)
}
