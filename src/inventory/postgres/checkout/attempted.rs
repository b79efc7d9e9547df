use crate::{
    Conflict,
    inventory::{
        model::{Order, checkout::Facts},
        postgres::reservations::expiry::{Expiry, Piece},
    },
};

/// What an attempt came to.
pub(super) enum Attempted {
    Made(Order),
    /// Another writer won.
    Lost {
        conflict: Conflict,
        facts: Vec<Option<Facts>>,
    },
    /// Expired holds are in the way.
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
