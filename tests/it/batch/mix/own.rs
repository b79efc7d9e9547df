//! What a buyer knows about its own orders and reservations, from the answers.

use optilock::inventory::{Order, OrderId, OrderStatus, ReservationId};

/// What an answer leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    None,
    /// Whether the last change was made.
    Change,
    /// Whether the row exists.
    Existence,
}

/// Units of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    pub name: &'static str,
    pub ordered: i64,
    pub returned: i64,
}

#[derive(Clone, Debug)]
pub struct OwnOrder {
    pub id: OrderId,
    pub status: OrderStatus,
    pub lines: Vec<Units>,
    /// Whether the database refuses every change of the order.
    pub frozen: bool,
    pub doubt: Doubt,
}

impl OwnOrder {
    /// Asserts that an answer shows this order as the buyer knows it.
    #[track_caller]
    pub fn assert_shown(&self, answer: &Order) {
        assert_eq!((answer.id, answer.status), (self.id, self.status));
        let lines = answer.lines.iter();
        let shown = lines.map(|line| (line.sku.as_str(), line.quantity.get(), line.returned));
        let shown: Vec<_> = shown.collect();
        let mut own: Vec<_> = self
            .lines
            .iter()
            .map(|line| (line.name, line.ordered, line.returned))
            .collect();
        own.sort_unstable();
        assert_eq!(shown, own, "{}", self.id);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldsAre {
    Live,
    Released,
    Consumed,
}

#[derive(Clone, Debug)]
pub struct OwnReservation {
    pub id: ReservationId,
    pub holds: HoldsAre,
    pub customer: &'static str,
    pub lines: Vec<(&'static str, i64)>,
    pub doubt: Doubt,
}
