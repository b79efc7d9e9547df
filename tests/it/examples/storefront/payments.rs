//! Payments that fail, and that are late.

use std::time::Duration;

use chrono::DateTime;
use optilock::inventory::Inventory;
use serde_json::{Value, json};

use super::client::{ANA, LUIS, OpenShop, body, problem};

async fn step(open: &OpenShop, order: &Value, step: &str) -> Value {
    let path = format!(
        "/api/marketplace/orders/{}/{step}",
        order["id"].as_str().unwrap()
    );
    body(open.client.post(&path, ANA, &json!({})), 200).await
}

async fn buy_a_rug(open: &OpenShop) -> Value {
    open.client.put_into_cart(ANA, "rug", 1).await;
    let tag = open.client.cart_tag(ANA).await;
    body(open.client.buy(ANA, &tag), 201).await
}

async fn expire(open: &OpenShop) {
    let cancelled = open
        .shop
        .inventory
        .cleanup_failed_orders(Duration::ZERO)
        .await;
    assert_eq!(cancelled.unwrap().orders, 1);
}

#[tokio::test]
async fn an_order_says_until_when_it_can_be_paid() {
    let open = OpenShop::new().await;
    let order = buy_a_rug(&open).await;
    let time = |field: &str| DateTime::parse_from_rfc3339(order[field].as_str().unwrap()).unwrap();
    assert_eq!((time("pay_before") - time("created_at")).num_seconds(), 600);
    assert_eq!(order["expired"], false);
    let failed = step(&open, &order, "fail").await;
    assert_eq!(
        failed["pay_before"], order["pay_before"],
        "it can be paid again"
    );
    let paid = step(&open, &order, "pay").await;
    assert_eq!(
        (&paid["status"], &paid["pay_before"]),
        (&json!("paid"), &Value::Null)
    );
    assert_eq!(open.client.stock("rug").await, 0);
    open.assert_balanced().await;
}

#[tokio::test]
async fn a_late_payment_takes_the_stock_again_or_is_refused() {
    let open = OpenShop::new().await;
    let order = buy_a_rug(&open).await;
    expire(&open).await;
    assert_eq!(open.client.stock("rug").await, 1, "it was given back");
    let path = format!("/api/marketplace/orders/{}", order["id"].as_str().unwrap());
    let read = body(open.client.get(&path).bearer_auth(ANA), 200).await;
    assert_eq!(
        (&read["expired"], &read["pay_before"]),
        (&json!(true), &Value::Null)
    );
    let paid = step(&open, &order, "pay").await;
    assert_eq!(
        (&paid["status"], &paid["expired"]),
        (&json!("paid"), &json!(false))
    );
    assert_eq!(open.client.stock("rug").await, 0);

    // Somebody else buys what an order gave back.
    let adjust = json!({ "delta": 1, "reason": "delivery" });
    let stock = "/api/marketplace/products/rug/stock";
    body(open.client.post(stock, super::client::ADMIN, &adjust), 200).await;
    let order = buy_a_rug(&open).await;
    expire(&open).await;
    open.client.put_into_cart(LUIS, "rug", 1).await;
    let tag = open.client.cart_tag(LUIS).await;
    body(open.client.buy(LUIS, &tag), 201).await;
    let path = format!(
        "/api/marketplace/orders/{}/pay",
        order["id"].as_str().unwrap()
    );
    let refused = problem(
        open.client.post(&path, ANA, &json!({})),
        400,
        "insufficient-stock",
    )
    .await;
    let short = json!([{ "sku": "rug", "requested": 1, "available": 0 }]);
    assert_eq!(refused["short"], short);
    open.assert_balanced().await;
}

#[tokio::test]
async fn an_order_that_the_shopper_cancelled_is_not_paid() {
    let open = OpenShop::new().await;
    let order = buy_a_rug(&open).await;
    let cancelled = step(&open, &order, "cancel").await;
    assert_eq!(cancelled["expired"], false);
    let path = format!(
        "/api/marketplace/orders/{}/pay",
        order["id"].as_str().unwrap()
    );
    let pay = open.client.post(&path, ANA, &json!({}));
    problem(pay, 409, "invalid-order-state").await;
    assert_eq!(open.client.stock("rug").await, 1);
}
