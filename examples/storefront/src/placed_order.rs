//! An order as the API shows it: with its shipping address.

use std::collections::HashMap;

use axum::Json;
use optilock::inventory::{Order, OrderId};
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
    pub(crate) const fn new(order: Order, shipping_address: Option<Address>) -> Self {
        Self {
            order,
            shipping_address,
        }
    }

    /// Reads the deliveries of the orders.
    pub(crate) async fn read_all(shop: &Shop, orders: Vec<Order>) -> Result<Vec<Self>, Problem> {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let deliveries = Delivery::of_orders(&shop.pool, &ids).await?.into_iter();
        let mut addresses: HashMap<OrderId, Address> = deliveries
            .map(|delivery| (delivery.order_id(), delivery.into_address()))
            .collect();
        let placed = |order: Order| {
            let address = addresses.remove(&order.id);
            Self::new(order, address)
        };
        Ok(orders.into_iter().map(placed).collect())
    }

    /// Reads the delivery of the order.
    pub(crate) async fn read(shop: &Shop, order: Order) -> Result<Json<Self>, Problem> {
        let mut placed = Self::read_all(shop, vec![order]).await?;
        placed
            .pop()
            .map(Json)
            .ok_or_else(|| Problem::internal(&"an order was lost while its delivery was read"))
    }
}
