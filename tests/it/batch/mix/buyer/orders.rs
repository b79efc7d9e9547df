//! Checkouts and the steps of orders.

use optilock::inventory::{
    Checkout, Error, ErrorKind, Inventory, Order, OrderStatus, OrderStep, ReturnRequest,
};
use rand::{RngExt, seq::IteratorRandom};

use super::{
    super::{
        FROZEN,
        own::{Doubt, OwnOrder, Units},
    },
    Buyer, Outcome, assert_kind, assert_poisoned, patiently,
};
use crate::support::goods::{sku, units};

impl Buyer {
    pub(super) async fn buy(&mut self) {
        self.begin("checkout");
        let (customer, lines) = (self.random_customer(), self.random_lines());
        let (key, refused) = self.random_key();
        let cart = Self::cart(&lines, customer, key);
        match self.send(cart, &lines).await {
            Some(Outcome::Refused(error)) if error.kind() == ErrorKind::InsufficientStock => {}
            Some(Outcome::Refused(error)) => assert_poisoned(&error, refused),
            Some(Outcome::Done(order)) => assert!(!refused, "{order:?}"),
            Some(Outcome::Busy | Outcome::Unknown) | None => {}
        }
    }

    /// Sends a checkout, some to two processes at the same moment, and keeps the order. Returns nothing if the
    /// future was dropped.
    pub(super) async fn send(
        &mut self,
        cart: Checkout,
        lines: &[(&'static str, i64)],
    ) -> Option<Outcome<Order>> {
        let operation = self.last;
        let line = |&(name, ordered)| Units {
            name,
            ordered,
            returned: 0,
        };
        let mut own = OwnOrder {
            id: cart.order_id(),
            status: OrderStatus::PendingPayment,
            lines: lines.iter().map(line).collect(),
            frozen: cart.customer() == Some(FROZEN),
            doubt: Doubt::None,
        };
        let twice = self.random.random_bool(0.05);
        let (shop, other) = (self.shop.clone(), self.other.clone());
        let second = cart.clone();
        let sent = async {
            if twice {
                let both = tokio::join!(shop.checkout(cart), other.checkout(second));
                vec![both.0, both.1]
            } else {
                vec![shop.checkout(cart).await]
            }
        };
        let Some(answers) = patiently(self.patience(), sent).await else {
            own.doubt = Doubt::Existence;
            self.orders.push(own);
            return None;
        };
        for order in answers.iter().flatten() {
            own.assert_shown(order);
        }
        let outcome = self.sort_all(operation, answers);
        match &outcome {
            Outcome::Done(_) => self.orders.push(own),
            Outcome::Unknown => {
                own.doubt = Doubt::Existence;
                self.orders.push(own);
            }
            // The other process used the id up when it refused the request after an unknown outcome.
            Outcome::Refused(error) if is_void(error) => return Some(Outcome::Busy),
            Outcome::Refused(_) | Outcome::Busy => {}
        }
        Some(outcome)
    }

    pub(super) async fn pay(&mut self) {
        self.change("pay", OrderStatus::Paid, OrderStep::mark_paid)
            .await;
    }

    pub(super) async fn fail_payment(&mut self) {
        let failed = OrderStatus::PaymentFailed;
        self.change("fail payment", failed, OrderStep::mark_payment_failed)
            .await;
    }

    pub(super) async fn cancel(&mut self) {
        self.change("cancel", OrderStatus::Cancelled, |id| {
            OrderStep::cancel(id, "changed their mind")
        })
        .await;
    }

    pub(super) async fn revive(&mut self) {
        let pending = OrderStatus::PendingPayment;
        self.change("revive", pending, OrderStep::revive).await;
    }

    /// Makes a step of a random order, whether or not it begins in the order's state.
    async fn change(
        &mut self,
        operation: &'static str,
        to: OrderStatus,
        step: impl FnOnce(optilock::inventory::OrderId) -> OrderStep,
    ) {
        let Some(at) = self.random_order(|_| true) else {
            return;
        };
        self.begin(operation);
        let order = self.orders[at].clone();
        let from = order.status;
        let possible = from == to || leads(from, to);
        let answer = self.shop.step(step(order.id)).await;
        match self.sort(operation, answer) {
            Outcome::Done(answer) => {
                assert!(possible, "{operation} of {from:?}: {answer:?}");
                assert!(from == to || !order.frozen, "{answer:?}");
                self.orders[at].status = to;
                self.orders[at].assert_shown(&answer);
            }
            Outcome::Refused(error) if !possible => {
                assert_kind(&error, ErrorKind::InvalidOrderState);
            }
            Outcome::Refused(error) if error.kind() == ErrorKind::InsufficientStock => {
                assert_eq!(operation, "revive", "{error:?}");
            }
            Outcome::Refused(error) => assert_poisoned(&error, order.frozen),
            Outcome::Busy => {}
            Outcome::Unknown => self.orders[at].doubt = Doubt::Change,
        }
    }

    /// Returns units of an order, sometimes more than it has left.
    pub(super) async fn return_items(&mut self) {
        let Some(at) = self.random_order(|order| order.status == OrderStatus::Paid) else {
            return;
        };
        self.begin("return");
        let line = self.random.random_range(0..self.orders[at].lines.len());
        let returned = self.random.random_range(1..=2);
        let Units { name, ordered, .. } = self.orders[at].lines[line];
        let left = ordered - self.orders[at].lines[line].returned;
        let lines = [(sku(name), units(returned))];
        let request = ReturnRequest::new(self.orders[at].id, lines, "broken").unwrap();
        let twice = self.random.random_bool(0.1);
        let (shop, other) = (self.shop.clone(), self.other.clone());
        let answers: Vec<Result<Order, Error>> = if twice {
            let both = tokio::join!(
                shop.return_items(request.clone()),
                other.return_items(request)
            );
            vec![both.0, both.1]
        } else {
            vec![shop.return_items(request).await]
        };
        let frozen = self.orders[at].frozen;
        match self.sort_all("return", answers) {
            Outcome::Done(answer) => {
                assert!(left >= returned && !frozen, "{answer:?}");
                self.orders[at].lines[line].returned += returned;
                self.orders[at].assert_shown(&answer);
            }
            Outcome::Refused(error) if left < returned => {
                assert_kind(&error, ErrorKind::ReturnExceedsOrder);
            }
            Outcome::Refused(error) => assert_poisoned(&error, frozen),
            Outcome::Busy => {}
            Outcome::Unknown => self.orders[at].doubt = Doubt::Change,
        }
    }

    /// Chooses an order without doubt.
    fn random_order(&mut self, suits: impl Fn(&OwnOrder) -> bool) -> Option<usize> {
        let orders = self.orders.iter().enumerate();
        let suitable = orders.filter(|(_, order)| order.doubt == Doubt::None && suits(order));
        suitable.map(|(at, _)| at).choose(&mut self.random)
    }
}

fn is_void(error: &Error) -> bool {
    let state = error.order_state();
    state.is_some_and(|(_, status)| status == OrderStatus::Void)
}

/// Whether a step leads from one state to another one.
fn leads(from: OrderStatus, to: OrderStatus) -> bool {
    use OrderStatus::{Cancelled, Paid, PaymentFailed, PendingPayment};
    matches!(
        (from, to),
        (PendingPayment, Paid | PaymentFailed | Cancelled)
            | (PaymentFailed, Paid | Cancelled)
            | (Cancelled, PendingPayment)
    )
}
