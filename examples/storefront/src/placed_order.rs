//! An order as the API shows it: with its shipping address.

use axum::Json;
use optilock::inventory::Order;
use serde::Serialize;

use crate::{address::Address, deliveries::Delivery, problem::Problem, shop::Shop};

/// An order with its shipping address.
#[derive(Debug, Serialize)]
pub(crate) struct PlacedOrder {
    #[serde(flatten)]
    order: Order,
    shipping_address: Option<Address>,
}

impl PlacedOrder {
    pub(crate) fn new(order: Order, delivery: Option<Delivery>) -> Self {
        let shipping_address = delivery.map(Delivery::into_address);
        Self {
            order,
            shipping_address,
        }
    }

    /// Reads the delivery of the order.
    pub(crate) async fn read(shop: &Shop, order: Order) -> Result<Json<Self>, Problem> {
        let delivery = Delivery::of_order(&shop.pool, order.id).await?;
        Ok(Json(Self::new(order, delivery)))
    }
}
