//! An order as the API shows it: with its shipping address.

use std::collections::HashMap;

use axum::Json;
use chrono::{DateTime, Utc};
use optilock::inventory::{Order, OrderId, OrderStatus};
use serde::Serialize;

use crate::{address::Address, deliveries::Delivery, problem::Problem, shop::Shop};

/// An order with its shipping address.
#[derive(Debug, Serialize)]
pub(crate) struct PlacedOrder {
    #[serde(flatten)]
    order: Order,
    shipping_address: Option<Address>,
    /// Until when the order can be paid; `None` if it awaits no payment.
    pay_before: Option<DateTime<Utc>>,
    /// The order was cancelled because it was not paid in time. A late payment revives it if the stock is there.
    expired: bool,
}

/// The reason that the clean-up of unpaid orders gives. A shopper can't give it.
pub(crate) const EXPIRED: &str = "expired";

/// Returns whether the order was cancelled because it was not paid in time.
pub(crate) fn is_expired(order: &Order) -> bool {
    order.status == OrderStatus::Cancelled && order.reason.as_deref() == Some(EXPIRED)
}

impl PlacedOrder {
    pub(crate) fn new(shop: &Shop, order: Order, shipping_address: Option<Address>) -> Self {
        let is_open = matches!(
            order.status,
            OrderStatus::PendingPayment | OrderStatus::PaymentFailed
        );
        let pay_before = is_open.then(|| order.created_at + shop.settings.payment_time);
        Self {
            pay_before,
            expired: is_expired(&order),
            order,
            shipping_address,
        }
    }

    /// Reads the deliveries of the orders.
    pub(crate) async fn read_all(shop: &Shop, orders: Vec<Order>) -> Result<Vec<Self>, Problem> {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let deliveries = Delivery::of_orders(&shop.pool, &ids).await?.into_iter();
        let mut deliveries: HashMap<OrderId, Delivery> = deliveries
            .map(|delivery| (delivery.order_id(), delivery))
            .collect();
        let placed = |order: Order| {
            let delivery = deliveries.remove(&order.id);
            let withdrawn = delivery.as_ref().is_some_and(|delivery| delivery.withdrawn);
            let mut placed = Self::new(shop, order, delivery.map(Delivery::into_address));
            placed.expired &= !withdrawn;
            placed
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
