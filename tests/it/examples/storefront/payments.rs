//! Payments that fail, and that are late.

use std::time::Duration;

use chrono::DateTime;
use optilock::inventory::Inventory;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{ANA, LUIS, OpenShop, body, problem};

async fn step(open: &OpenShop, order: &Value, step: &str) -> Value {
    let path = format!(
        "/api/marketplace/orders/{}/{step}",
        order["id"].as_str().unwrap()
    );
    body(open.client.post(&path, ANA, &json!({})), 200).await
}

async fn buy_a_rug(open: &OpenShop) -> Value {
    buy_a_rug_as(open, ANA).await
}

async fn buy_a_rug_as(open: &OpenShop, token: &str) -> Value {
    open.client.put_into_cart(token, "rug", 1).await;
    let tag = open.client.cart_tag(token).await;
    body(open.client.buy(token, &tag), 201).await
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

#[tokio::test]
async fn a_shopper_can_not_let_an_order_expire() {
    let open = OpenShop::new().await;
    let order = buy_a_rug(&open).await;
    let path = |step: &str| {
        format!(
            "/api/marketplace/orders/{}/{step}",
            order["id"].as_str().unwrap()
        )
    };
    let cancel = open
        .client
        .post(&path("cancel"), ANA, &json!({ "reason": "expired" }));
    assert_eq!(body(cancel, 200).await["expired"], false);
    let pay = open.client.post(&path("pay"), ANA, &json!({}));
    problem(pay, 409, "invalid-order-state").await;
}

#[tokio::test]
async fn an_expired_order_that_the_shopper_cancels_is_not_paid() {
    let open = OpenShop::new().await;
    let order = buy_a_rug(&open).await;
    expire(&open).await;
    let cancelled = step(&open, &order, "cancel").await;
    assert_eq!(
        (&cancelled["status"], &cancelled["expired"]),
        (&json!("cancelled"), &json!(false))
    );
    let path = format!(
        "/api/marketplace/orders/{}/pay",
        order["id"].as_str().unwrap()
    );
    let pay = open.client.post(&path, ANA, &json!({}));
    problem(pay, 409, "invalid-order-state").await;
    assert_eq!(open.client.stock("rug").await, 1);
}

/// A payment provider reports a payment several times at once, and the shopper cancels.
#[tokio::test(flavor = "multi_thread")]
async fn late_payments_at_once_have_one_outcome() {
    let open = OpenShop::new().await;
    for round in 1..=60 {
        // A shopper of its own: one is limited.
        let token = format!("demo-load-{round}");
        let order = buy_a_rug_as(&open, &token).await;
        expire(&open).await;
        let path = |step: &str| {
            format!(
                "/api/marketplace/orders/{}/{step}",
                order["id"].as_str().unwrap()
            )
        };
        let mut requests = JoinSet::new();
        let steps: &[&str] = if round % 2 == 0 {
            &["pay", "pay", "pay"]
        } else {
            &["pay", "cancel"]
        };
        for step in steps {
            let request = open.client.post(&path(step), &token, &json!({}));
            requests.spawn(async move { (*step, request.send().await.unwrap().status().as_u16()) });
        }
        let answers = requests.join_all().await;
        let read = open
            .client
            .get(path("").trim_end_matches('/'))
            .bearer_auth(&token);
        let read = body(read, 200).await;
        let is_paid = read["status"] == "paid";
        for (step, status) in &answers {
            assert_eq!(
                *status == 200,
                (*step == "pay") == is_paid,
                "{answers:?} {read}"
            );
        }
        if is_paid {
            let back = json!({ "delta": 1, "reason": "delivery" });
            let stock = "/api/marketplace/products/rug/stock";
            body(open.client.post(stock, super::client::ADMIN, &back), 200).await;
        }
    }
    open.assert_balanced().await;
}
