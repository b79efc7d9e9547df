//! The inventory in memory.

mod report;
mod shop;

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    api::Inventory,
    model::{
        Adjustment, Audit, Checkout, Cleanup, Error, Hold, HoldState, Movement, MovementKind,
        NewProduct, Order, OrderFilter, OrderId, OrderLine, OrderStatus, OrderStep, Page, Product,
        Report, Reservation, ReservationId, Reserve, ReturnRequest, Shortage, Sku, Stock,
        checkout::Facts,
        product::{check_text, unedited, unmoved},
        reservation::check_duration,
    },
    traffic::Traffic,
};
use crate::{Version, Versioned};

use shop::{Cause, Kept, Shop, is_due, is_older, next, now};

const UNPAID: [OrderStatus; 2] = [OrderStatus::PendingPayment, OrderStatus::PaymentFailed];

/// An [`Inventory`] in memory, with the same answers as [`PgInventory`](crate::inventory::PgInventory).
///
/// For tests and demonstrations of host applications: it lives and dies with the process. One lock
/// guards it, so operations never conflict.
#[derive(Debug, Default)]
pub struct MemoryInventory {
    shop: Mutex<Shop>,
    traffic: Traffic,
}

impl MemoryInventory {
    /// An empty inventory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shop(&self) -> MutexGuard<'_, Shop> {
        // Every change is checked before the first write, so a panic leaves nothing half done.
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_paused(&self, sku: &Sku, paused: bool) -> Result<Product, Error> {
        let mut shop = self.shop();
        let mut product = shop.find(sku)?.clone();
        if product.paused == paused {
            return Ok(product);
        }
        product.paused = paused;
        shop.put(
            product,
            Cause::of(match paused {
                true => MovementKind::Paused,
                false => MovementKind::Resumed,
            }),
        )
    }

    fn sell(&self, request: Checkout) -> Result<Order, Error> {
        request.check()?;
        let mut shop = self.shop();
        let key = request
            .key
            .clone()
            .map(|key| (request.customer.clone(), key));
        let known = key.as_ref().and_then(|key| shop.keys.get(key));
        let known = shop
            .orders
            .get(&request.id)
            .or_else(|| shop.orders.get(known?));
        if let Some(stored) = known {
            return request.replay(stored.order.clone());
        }
        if let Some(id) = request.reservation {
            let reservation = shop.reservation(id)?;
            reservation.admit(request.customer.as_deref())?;
        }
        let mut raised = BTreeMap::new();
        let mut facts = facts(&shop, &request, &raised);
        request.judge(&facts)?;
        while request.waits_for_expiry(&facts) {
            let lines = request.lines.iter();
            let needed: Vec<_> = lines.map(|line| (&line.sku, line.quantity.get())).collect();
            for sku in shop.expire(&needed, request.reservation)? {
                *raised.entry(sku).or_default() += 1;
            }
            facts = self::facts(&shop, &request, &raised);
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
            let taken = shop.consume(request.reservation, &line.sku, quantity);
            let mut product = shop.find(&line.sku)?.clone();
            product.stock = Stock::stored(product.stock.get() - quantity);
            product.reserved = Stock::stored(product.reserved.get() - taken);
            shop.put(product, cause)?;
        }
        let kept = Kept {
            order: order.clone(),
            pending_since: order.created_at,
        };
        shop.orders.insert(order.id, kept);
        if let Some(key) = key {
            shop.keys.insert(key, order.id);
        }
        Ok(order)
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        check_text("name", &new.name)?;
        let mut shop = self.shop();
        let mut product = Product::new(new.sku, new.name, new.price);
        product.stock = new.stock;
        match shop.products.get(&product.sku) {
            None => Ok(shop.add(product)),
            Some(shelf) if shelf.retired => {
                let old = &shelf.product;
                if old.reserved > product.stock {
                    let (counted, reserved) = (product.stock.get(), old.reserved.get());
                    return Err(Error::stock_held(product.sku, counted, reserved));
                }
                product.reserved = old.reserved;
                product.version = old.version;
                product.revision = next(old.revision)?;
                product.created_at = old.created_at;
                shop.put(product, Cause::of(MovementKind::Added))
            }
            Some(_) => Err(Error::already_exists(Product::ENTITY, &product.sku)),
        }
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        self.shop().find(sku).cloned()
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        let shop = self.shop();
        let from = page
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let sold = shop
            .products
            .range((from, Bound::Unbounded))
            .filter(|(_, shelf)| !shelf.retired);
        Ok(sold
            .take(page.limit() as usize)
            .map(|(_, shelf)| shelf.product.clone())
            .collect())
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        let shop = self.shop();
        let mut found: Vec<Product> = skus
            .iter()
            .filter_map(|sku| shop.find(sku).ok().cloned())
            .collect();
        found.sort_by(|a, b| a.sku.cmp(&b.sku));
        found.dedup_by(|a, b| a.sku == b.sku);
        Ok(found)
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        let shop = self.shop();
        let product = shop.find(sku)?;
        unmoved(product, expected)?;
        Ok(product.clone())
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        check_text("name", &changed.name)?;
        let mut shop = self.shop();
        let mut product = shop.find(&changed.sku)?.clone();
        unedited(&product, changed.revision)?;
        product.name.clone_from(&changed.name);
        product.price = changed.price;
        product.revision = next(product.revision)?;
        shop.put(product, Cause::of(MovementKind::Edit))
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let mut shop = self.shop();
        let product = shop.find(sku)?.clone();
        unmoved(&product, expected)?;
        shop.put(product, Cause::of(MovementKind::Retired))
            .map(drop)
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        self.set_paused(sku, true)
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        self.set_paused(sku, false)
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        let (id, delta) = (adjustment.id, adjustment.delta);
        let sku = adjustment.sku.clone();
        let mut shop = self.shop();
        if let Some((made_of, made)) = shop.adjustments.get(&id) {
            // Whatever became of the product since.
            return match shop.products.get(&sku) {
                Some(shelf) if *made_of == sku && *made == delta => Ok(shelf.product.clone()),
                _ => Err(Error::idempotency_mismatch("adjustment", id, None)),
            };
        }
        let mut product = shop.find(&sku)?.clone();
        let obtainable = product.available() + shop.expired(&sku, None);
        if obtainable + delta < 0 {
            return Err(adjustment.insufficient(obtainable));
        }
        while product.available() + delta < 0 {
            shop.expire(&[(&sku, -delta)], None)?;
            product = shop.find(&sku)?.clone();
        }
        let stock = product.stock.get().saturating_add(delta);
        if delta > 0 && stock > Stock::MAX.get() {
            return Err(adjustment.beyond());
        }
        product.stock = Stock::stored(stock);
        let cause = Cause::of(MovementKind::Adjustment).with_reason(&adjustment.reason);
        let product = shop.put(product, cause)?;
        shop.adjustments.insert(id, (sku, delta));
        Ok(product)
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        check_text("reason", reason)?;
        let mut shop = self.shop();
        let mut product = shop.find(sku)?.clone();
        unmoved(&product, expected)?;
        if product.reserved > counted {
            let (counted, reserved) = (counted.get(), product.reserved.get());
            return Err(Error::stock_held(product.sku, counted, reserved));
        }
        product.stock = counted;
        let cause = Cause::of(MovementKind::Count).with_reason(reason);
        shop.put(product, cause)
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let clock = self.traffic.clock();
        let answer = self.sell(request);
        clock.stop(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        Ok(self.shop().order(id)?.order.clone())
    }

    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
        let from = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let shop = self.shop();
        let orders = shop.orders.range((from, Bound::Unbounded));
        let asked = orders
            .map(|(_, kept)| &kept.order)
            .filter(|order| filter.matches(order));
        Ok(asked.take(page.limit() as usize).cloned().collect())
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        step.check()?;
        self.shop().step(&step)
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        let mut shop = self.shop();
        if let Some(made) = shop.returns.get(&request.id) {
            if (made.order, &made.lines) != (request.order, &request.lines) {
                return Err(Error::idempotency_mismatch("return", request.id, None));
            }
            let mut order = shop.order(request.order)?.order.clone();
            order.replayed = true;
            return Ok(order);
        }
        let order = request.made(&shop.order(request.order)?.order)?;
        let back = request.lines.iter();
        let back = back.map(|(sku, quantity)| (sku, quantity.get()));
        let cause = Cause::of(MovementKind::Returned)
            .with_order(order.id)
            .with_reason(&request.reason);
        shop.shift(back, cause)?;
        shop.keep(&order);
        shop.returns.insert(request.id, request);
        Ok(order)
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        let mut shop = self.shop();
        let old = |since| is_older(since, older_than, now());
        let due: Vec<OrderId> = shop
            .orders
            .iter()
            .filter(|(_, kept)| UNPAID.contains(&kept.order.status) && old(kept.pending_since))
            .map(|(id, _)| *id)
            .collect();
        let mut done = Cleanup::default();
        for id in due {
            let order = shop.step(&OrderStep::cancel(id, "expired"))?;
            let units = order.lines.iter().map(|line| line.quantity.get());
            done = done.plus(Cleanup::of_orders(1, units.sum::<i64>().unsigned_abs()));
        }
        Ok(done)
    }

    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
        let mut guard = self.shop();
        let shop = &mut *guard;
        let before = shop.keys.len();
        let orders = &shop.orders;
        shop.keys.retain(|_, id| {
            let made = orders.get(id).map(|kept| kept.order.created_at);
            let age = made.and_then(|made| (now() - made).to_std().ok());
            age.is_some_and(|age| age <= older_than) && !older_than.is_zero()
        });
        Ok((before - shop.keys.len()) as u64)
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        request.check()?;
        let mut shop = self.shop();
        let key = request.key.clone();
        let key = key.map(|key| (request.customer.clone(), key));
        let known = key.as_ref().and_then(|key| shop.reservation_keys.get(key));
        let known = match shop.reservations.get(&request.id) {
            Some(stored) => Some(stored.id),
            None => known.copied(),
        };
        if let Some(id) = known {
            return request.replay(shop.reservation(id)?);
        }
        let mut available = Vec::with_capacity(request.lines.len());
        for (sku, _) in &request.lines {
            let product = shop.find(sku)?;
            available.push((product.available(), product.paused));
        }
        for ((sku, _), (_, paused)) in request.lines.iter().zip(&available) {
            if *paused {
                return Err(Error::product_paused(sku.clone()));
            }
        }
        // All that is asked for, or none of it is ended.
        let short: Vec<Shortage> = request
            .lines
            .iter()
            .zip(available)
            .filter(|((_, quantity), (available, _))| *available < quantity.get())
            .map(|((sku, quantity), (available, _))| {
                Shortage::new(sku.clone(), *quantity, available + shop.expired(sku, None))
            })
            .filter(|line| line.available < line.requested.get())
            .collect();
        if !short.is_empty() {
            return Err(Error::insufficient_stock(short));
        }
        let lines = request.lines.iter();
        let needed: Vec<_> = lines.map(|(sku, quantity)| (sku, quantity.get())).collect();
        while !shop.expire(&needed, None)?.is_empty() {}
        let created_at = now();
        let expires_at = created_at + request.duration;
        let cause = Cause::of(MovementKind::Reserved).with_reservation(Some(request.id));
        let mut holds = Vec::with_capacity(request.lines.len());
        for (sku, quantity) in &request.lines {
            let mut product = shop.find(sku)?.clone();
            product.reserved = Stock::stored(product.reserved.get() + quantity.get());
            shop.put(product, cause)?;
            holds.push(Hold::new(sku.clone(), *quantity, expires_at));
        }
        let mut reservation = Reservation::new(request.id, holds, created_at);
        reservation.customer = request.customer;
        shop.reservations
            .insert(reservation.id, reservation.clone());
        if let Some(key) = key {
            shop.reservation_keys.insert(key, reservation.id);
        }
        Ok(reservation)
    }

    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        self.shop().reservation(id)
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        check_duration(by)?;
        let mut shop = self.shop();
        let seen = shop.reservation(id)?;
        if !seen.is_live() {
            return Err(seen.closed());
        }
        let (now, until) = (now(), now() + by);
        if let Some(stored) = shop.reservations.get_mut(&id) {
            for hold in &mut stored.holds {
                if hold.state == HoldState::Held && hold.expires_at > now {
                    hold.expires_at = hold.expires_at.max(until);
                }
            }
        }
        shop.reservation(id)
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        let mut shop = self.shop();
        shop.reservation(id)?;
        shop.release(id)
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        let now = now();
        let due = |_, hold: &Hold| is_due(hold, now);
        let cause = Cause::of(MovementKind::Expired);
        self.shop().end_holds(due, HoldState::Expired, cause)
    }

    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
        let shop = self.shop();
        let ledger = shop
            .products
            .get(sku)
            .map_or(&[][..], |shelf| &shelf.ledger);
        let after = |movement: &&Movement| page.after.is_none_or(|after| movement.version > after);
        let asked = ledger.iter().filter(after);
        Ok(asked.take(page.limit() as usize).cloned().collect())
    }

    async fn report(&self, window: Duration) -> Result<Report, Error> {
        Ok(self.shop().report(window, &self.traffic.over(window)))
    }

    async fn audit(&self) -> Result<Audit, Error> {
        Ok(self.shop().audit())
    }
}

/// What a checkout needs to know, one per line.
fn facts(shop: &Shop, request: &Checkout, raised: &BTreeMap<Sku, i64>) -> Vec<Option<Facts>> {
    let lines = request.lines.iter();
    lines
        .map(|line| {
            let mut facts = Facts::from(shop.find(&line.sku).ok()?);
            facts.available += shop.held(request.reservation, &line.sku);
            facts.held = shop.held_unexpired(request.reservation, &line.sku);
            facts.raised = raised.get(&line.sku).copied().unwrap_or_default();
            facts.expired = shop.expired(&line.sku, request.reservation);
            Some(facts)
        })
        .collect()
}
