use super::decided;
use crate::inventory::{
    model::{Checkout, Error, Order, ReservationId},
    postgres::{
        hook::Effects,
        reservations::expiry::{Expiry, Needed, Piece, Request},
        schema::SchemaConnection,
    },
};

/// A checkout that meets every precondition but needs the units of expired holds.
pub(super) struct Decision<'a> {
    pub(super) effects: &'a Effects,
    pub(super) request: &'a Checkout,
}

impl Request for Decision<'_> {
    type Answer = Order;

    fn needed(&self) -> Vec<Needed<'_>> {
        let lines = self.request.lines.iter();
        let needed = lines.map(|line| Needed {
            sku: &line.sku,
            units: line.quantity.get(),
            version: line.version,
        });
        needed.collect()
    }

    fn except(&self) -> Option<ReservationId> {
        self.request.reservation
    }

    async fn decide(
        &self,
        conn: &mut SchemaConnection<'_>,
        expiry: Expiry,
    ) -> Result<Piece<Order>, Error> {
        decided::behind(conn, self.effects, self.request, expiry).await
    }
}
