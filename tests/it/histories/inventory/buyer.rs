//! One process: sends random requests and records each as a transaction.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Error, ErrorKind, Inventory, Line, OrderId, OrderStatus,
        ReservationId, Reserve, Sku,
    },
};
use rand::{RngExt, seq::SliceRandom};

use super::{name, orders::Orders};
use crate::{
    histories::{
        history::{Element, Outcome, Seen, Step, append},
        lists,
        recorder::Recorder,
    },
    support::goods::{sku, units},
};

pub struct Buyer {
    number: usize,
    shop: Arc<dyn Inventory>,
    recorder: Arc<Recorder>,
    orders: Arc<Orders>,
    /// Reservations whose holds are live, and their products.
    reservations: Vec<(ReservationId, Vec<String>)>,
}

impl Buyer {
    pub fn new(
        number: usize,
        shop: Arc<dyn Inventory>,
        recorder: Arc<Recorder>,
        orders: Arc<Orders>,
    ) -> Self {
        Self {
            number,
            shop,
            recorder,
            orders,
            reservations: Vec::new(),
        }
    }

    pub fn wants_more(&self, transactions: usize) -> bool {
        self.recorder.wants_more(transactions)
    }

    /// Sends a random request.
    pub async fn step(&mut self) {
        let percent = rand::rng().random_range(0..100);
        match percent {
            0..30 => self.buy().await,
            30..36 => self.buy_at_version().await,
            36..46 => self.pay().await,
            46..58 => self.cancel().await,
            58..66 => self.reserve().await,
            66..72 => self.buy_reserved().await,
            72..75 => self.release().await,
            75..81 => self.deliver().await,
            81..85 => self.count().await,
            85..93 => self.read_products().await,
            _ => self.read_order().await,
        }
    }

    async fn buy(&mut self) {
        let names = self.random_names();
        let lines = names.iter().map(|name| Line::new(sku(name), units(1)));
        self.checkout(Checkout::new(lines).unwrap(), names, vec![])
            .await;
    }

    /// Buys a product if it is still at the version that was read.
    async fn buy_at_version(&mut self) {
        let name = self.random_name();
        let Some(version) = self.read_version(&name).await else {
            return;
        };
        let line = Line::new(sku(&name), units(1)).expecting_version(version);
        let read = seen(&name, version);
        self.checkout(Checkout::new([line]).unwrap(), vec![name], vec![read])
            .await;
    }

    async fn checkout(&mut self, request: Checkout, names: Vec<String>, reads: Vec<Step>) {
        let id = request.order_id();
        let element = format!("sale {}", id.uuid());
        let number = self.begin(appends(&names, Some(id), &element));
        self.orders.add(id, names.clone());
        let answer = self.shop.checkout(request).await;
        self.end(number, answer, |order| {
            assert_eq!(order.id, id);
            // A replayed order is returned as it is now: another buyer may have paid or cancelled it.
            assert!(
                order.replayed || order.version == Version::FIRST,
                "{order:?}"
            );
            [reads, appends(&names, Some(id), &element)].concat()
        });
    }

    async fn pay(&mut self) {
        let Some(order) = self.orders.to_pay() else {
            return;
        };
        let element = format!("paid {}", order.id.uuid());
        let steps = appends(&[], Some(order.id), &element);
        let number = self.begin(steps.clone());
        let answer = self.shop.mark_paid(order.id).await;
        self.end(number, answer, |_| steps);
    }

    /// Cancels an order that another buyer may be paying or cancelling.
    async fn cancel(&mut self) {
        let Some(order) = self.orders.recent() else {
            return;
        };
        let reason = unique("cancellation");
        let steps = appends(&order.names, Some(order.id), &reason);
        let number = self.begin(steps.clone());
        let answer = self.shop.cancel(order.id, &reason).await;
        self.end(number, answer, |cancelled| match cancelled.reason {
            Some(stored) if stored == reason => steps,
            // Another request was faster.
            _ => vec![seen(&order.id.uuid().to_string(), cancelled.version)],
        });
    }

    async fn reserve(&mut self) {
        let names = self.random_names();
        let lines = names.iter().map(|name| (sku(name), units(1)));
        let request = Reserve::new(lines).unwrap();
        let id = request.reservation_id();
        let steps = appends(&names, None, &format!("reserved {}", id.uuid()));
        let number = self.begin(steps.clone());
        let answer = self.shop.reserve(request).await;
        if answer.is_ok() {
            self.reservations.push((id, names));
        }
        self.end(number, answer, |_| steps);
    }

    async fn buy_reserved(&mut self) {
        let Some((id, names)) = self.reservations.pop() else {
            return;
        };
        let lines = names.iter().map(|name| Line::new(sku(name), units(1)));
        let request = Checkout::new(lines).unwrap().with_reservation(id);
        self.checkout(request, names, vec![]).await;
    }

    async fn release(&mut self) {
        let Some((id, names)) = self.reservations.pop() else {
            return;
        };
        let steps = appends(&names, None, &format!("released {}", id.uuid()));
        let number = self.begin(steps.clone());
        let answer = self.shop.release(id).await;
        self.end(number, answer, |()| steps);
    }

    async fn deliver(&mut self) {
        let (name, reason) = (self.random_name(), unique("delivery"));
        let steps = vec![append(&name, &reason)];
        let number = self.begin(steps.clone());
        let delivery = Adjustment::new(sku(&name), 3, reason).unwrap();
        let answer = self.shop.adjust_stock(delivery).await;
        self.end(number, answer, |_| steps);
    }

    /// Counts the stock of a product that is still at the version that was read.
    async fn count(&mut self) {
        let (name, reason) = (self.random_name(), unique("count"));
        let Ok(product) = self.shop.product(&sku(&name)).await else {
            return;
        };
        let number = self.begin(vec![append(&name, &reason)]);
        let (version, stock) = (product.version, product.stock);
        let answer = self.shop.count_stock(&product.sku, version, stock, &reason);
        let answer = answer.await;
        self.end(number, answer, |_| {
            vec![seen(&name, version), append(&name, &reason)]
        });
    }

    async fn read_version(&mut self, name: &str) -> Option<Version> {
        let number = self.begin(vec![]);
        let answer = self.shop.product(&sku(name)).await;
        let version = answer.as_ref().ok().map(|product| product.version);
        self.end(number, answer, |product| vec![seen(name, product.version)]);
        version
    }

    /// Reads several products in one statement.
    async fn read_products(&mut self) {
        let names = self.random_names();
        let skus: Vec<Sku> = names.iter().map(|name| sku(name)).collect();
        let number = self.begin(vec![]);
        let answer = self.shop.products_of(&skus).await;
        self.end(number, answer, |products| {
            assert_eq!(products.len(), names.len());
            let products = products.iter();
            let seen = products.map(|product| seen(product.sku.as_str(), product.version));
            seen.collect()
        });
    }

    async fn read_order(&mut self) {
        let Some(order) = self.orders.recent() else {
            return;
        };
        let key = order.id.uuid().to_string();
        let number = self.begin(vec![]);
        match self.shop.order(order.id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let steps = vec![Step::Read(key, Seen::First(0))];
                self.recorder.end(number, Outcome::Done(steps));
            }
            answer => self.end(number, answer, |order| match order.status {
                // The id of a refused checkout is used up, so that it cannot take effect later.
                OrderStatus::Void => vec![Step::Read(key, Seen::First(0))],
                _ => vec![seen(&key, order.version)],
            }),
        }
    }

    fn begin(&self, requested: Vec<Step>) -> usize {
        self.recorder.begin(self.number, requested)
    }

    /// Records the answer, with the steps that an acknowledged request made.
    fn end<T>(&self, number: usize, answer: Result<T, Error>, steps: impl FnOnce(T) -> Vec<Step>) {
        let outcome = match answer {
            Ok(done) => Outcome::Done(steps(done)),
            Err(error) if error.is_unknown() => Outcome::Unknown,
            Err(error) => {
                assert_is_refusal(&error);
                Outcome::Refused
            }
        };
        self.recorder.end(number, outcome);
    }

    fn random_name(&self) -> String {
        name(lists::hot(self.recorder.begun()))
    }

    /// Returns one to three products, in any order.
    fn random_names(&self) -> Vec<String> {
        let count = rand::rng().random_range(1..=3);
        let mut lists = lists::some_hot(self.recorder.begun(), count);
        lists.shuffle(&mut rand::rng());
        lists.into_iter().map(name).collect()
    }
}

/// Returns the steps of a request that appends to these products and to the order.
fn appends(names: &[String], order: Option<OrderId>, element: &str) -> Vec<Step> {
    let order = order.map(|id| id.uuid().to_string());
    let keys = names.iter().cloned().chain(order);
    keys.map(|key| append(key, element)).collect()
}

/// Returns a read of a list at a version, which is its number of elements.
fn seen(key: &str, version: Version) -> Step {
    let count = usize::try_from(version.get()).expect("a small version");
    Step::Read(key.to_owned(), Seen::First(count))
}

fn unique(kind: &str) -> Element {
    static NUMBERS: AtomicUsize = AtomicUsize::new(0);
    format!("{kind} {}", NUMBERS.fetch_add(1, Relaxed))
}

/// Asserts that a request of this load can be refused for this reason.
fn assert_is_refusal(error: &Error) {
    let expected = [
        ErrorKind::Busy,
        ErrorKind::Conflict,
        ErrorKind::InsufficientStock,
        ErrorKind::InvalidOrderState,
        ErrorKind::NotFound,
        ErrorKind::Serialization,
        ErrorKind::StockHeld,
    ];
    assert!(expected.contains(&error.kind()), "{error:?}");
}
