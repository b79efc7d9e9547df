use crate::{
    Conflict,
    inventory::{
        model::{Order, checkout::Facts},
        postgres::reservations::expiry::{Expiry, Piece},
    },
};

/// The result of an attempt.
pub(super) enum Attempted {
    Made(Order),
    /// Another writer won.
    Lost {
        conflict: Conflict,
        facts: Vec<Option<Facts>>,
    },
    /// The request needs units of expired holds.
    Behind(Expiry),
}

impl From<Piece<Order>> for Attempted {
    fn from(piece: Piece<Order>) -> Self {
        match piece {
            Piece::Done(order) => Self::Made(order),
            Piece::Behind(expiry) => Self::Behind(expiry),
        }
    }
}
