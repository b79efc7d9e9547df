//! One way to sell: by hand, or an inventory.

use std::sync::Arc;

use optilock::{
    inventory::{Checkout, Inventory, Line, OrderId, Quantity, ReservationId, Reserve, Sku},
    sqlx::PgPool,
};
use support::by_hand;
use uuid::Uuid;

const CUSTOMER: &str = "buyer";

/// Makes steps of the sale of one unit, each with a customer and an idempotency key.
#[derive(Clone)]
pub(super) enum Seller {
    ByHand(PgPool),
    Library(Arc<dyn Inventory>),
}

impl Seller {
    pub(super) async fn buy(&self, sku: &Sku) -> OrderId {
        let (id, key) = (OrderId::new(), key());
        match self {
            Self::ByHand(pool) => {
                let customer = Some((CUSTOMER, key.as_str()));
                let bought = by_hand::order(pool, id.uuid(), sku.as_str(), customer).await;
                assert!(bought.expect("the checkout succeeds"), "there is stock");
            }
            Self::Library(inventory) => {
                let request = cart(sku).with_idempotency_key(key).with_order_id(id);
                let order = inventory.checkout(request).await;
                order.expect("there is stock");
            }
        }
        id
    }

    pub(super) async fn reserve(&self, sku: &Sku) -> ReservationId {
        let (id, key) = (ReservationId::new(), key());
        match self {
            Self::ByHand(pool) => {
                let customer = Some((CUSTOMER, key.as_str()));
                let held = by_hand::reserve(pool, id.uuid(), sku.as_str(), customer).await;
                assert!(held.expect("the reservation succeeds"), "there is stock");
            }
            Self::Library(inventory) => {
                let request = Reserve::new([(sku.clone(), Quantity::ONE)]);
                let request = request
                    .expect("a valid reservation")
                    .with_customer(CUSTOMER);
                let request = request.with_idempotency_key(key).with_reservation_id(id);
                let reservation = inventory.reserve(request).await;
                reservation.expect("there is stock");
            }
        }
        id
    }

    pub(super) async fn buy_reserved(&self, sku: &Sku, reservation: ReservationId) -> OrderId {
        let (id, key) = (OrderId::new(), key());
        match self {
            Self::ByHand(pool) => {
                let customer = Some((CUSTOMER, key.as_str()));
                let (order, held) = (id.uuid(), reservation.uuid());
                let bought = by_hand::buy_reserved(pool, order, held, sku.as_str(), customer).await;
                assert!(bought.expect("the checkout succeeds"), "the unit is held");
            }
            Self::Library(inventory) => {
                let request = cart(sku).with_idempotency_key(key).with_order_id(id);
                let order = inventory.checkout(request.with_reservation(reservation));
                order.await.expect("the unit is held");
            }
        }
        id
    }

    pub(super) async fn pay(&self, order: OrderId) {
        match self {
            Self::ByHand(pool) => {
                let paid = by_hand::pay(pool, order.uuid()).await;
                assert!(paid.expect("the payment succeeds"), "the order is unpaid");
            }
            Self::Library(inventory) => {
                let paid = inventory.mark_paid(order).await;
                paid.expect("the order is unpaid");
            }
        }
    }

    /// Makes a whole sale: reserves, buys from the reservation, and pays.
    pub(super) async fn sell(&self, sku: &Sku) {
        let reservation = self.reserve(sku).await;
        let order = self.buy_reserved(sku, reservation).await;
        self.pay(order).await;
    }
}

/// A cart of one unit.
pub(super) fn cart(sku: &Sku) -> Checkout {
    let request = Checkout::new([Line::new(sku.clone(), Quantity::ONE)]);
    request.expect("a valid cart").with_customer(CUSTOMER)
}

fn key() -> String {
    Uuid::now_v7().to_string()
}
