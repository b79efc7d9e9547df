//! The orders that all buyers have requested.

use std::sync::Mutex;

use optilock::inventory::OrderId;
use rand::seq::IndexedRandom;

/// An order that was requested.
#[derive(Clone, Debug)]
pub struct Requested {
    pub id: OrderId,
    pub names: Vec<String>,
    /// Whether its payment was sent. It is sent once: the stored order does not tell which request paid it.
    is_payment_sent: bool,
}

/// The orders of all buyers.
#[derive(Debug, Default)]
pub struct Orders(Mutex<Vec<Requested>>);

impl Orders {
    pub fn add(&self, id: OrderId, names: Vec<String>) {
        let is_payment_sent = false;
        self.0.lock().unwrap().push(Requested {
            id,
            names,
            is_payment_sent,
        });
    }

    /// Returns one of the latest orders.
    pub fn recent(&self) -> Option<Requested> {
        let orders = self.0.lock().unwrap();
        let recent = &orders[orders.len().saturating_sub(20)..];
        recent.choose(&mut rand::rng()).cloned()
    }

    /// Returns one of the latest orders whose payment was not sent.
    pub fn to_pay(&self) -> Option<Requested> {
        let mut orders = self.0.lock().unwrap();
        let recent = orders.iter_mut().rev().take(20);
        let order = recent.filter(|it| !it.is_payment_sent).last()?;
        order.is_payment_sent = true;
        Some(order.clone())
    }
}
