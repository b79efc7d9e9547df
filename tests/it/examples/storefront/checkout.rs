//! Carts, checkouts, orders and reservations.

use std::time::Duration;

use optilock::inventory::Inventory;
use reqwest::{Method, header};
use serde_json::json;

use super::client::{ANA, LUIS, OpenShop, address, body, body_of, problem};

#[tokio::test]
async fn a_repeated_checkout_returns_the_first_order() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 5).await;
    client.put_into_cart(ANA, "clay-pot", 2).await;
    let cart = client.put_into_cart(ANA, "rug", 1).await;
    let total = json!({ "minor": 630_000, "currency": "MXN" });
    assert_eq!(cart["total"], total);

    let invalid = body(client.checkout(ANA, "\"the key\""), 400).await;
    assert_eq!(invalid["code"], "invalid", "a space is not visible");
    let first = client.checkout(ANA, "\"key-1\"").send().await.unwrap();
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let order = body_of(first, 201).await;
    assert_eq!(order["status"], "pending-payment");
    assert_eq!(order["shipping_address"]["city"], "Oaxaca");

    // The cart is empty now, and the key is the same without quotes.
    let repeated = client.checkout(ANA, "key-1").send().await.unwrap();
    assert_eq!(repeated.headers()["idempotent-replayed"], "true");
    assert_eq!(body_of(repeated, 201).await["id"], order["id"]);
    problem(client.checkout(ANA, "key-2"), 400, "empty-cart").await;

    // Another address, or another cart, is another request.
    let mut elsewhere = address();
    elsewhere["shipping_address"]["city"] = json!("Puebla");
    let elsewhere = client.post("/api/marketplace/checkout", ANA, &elsewhere);
    let elsewhere = elsewhere.header("Idempotency-Key", "key-1");
    problem(elsewhere, 422, "idempotency-mismatch").await;
    client.put_into_cart(ANA, "basket", 1).await;
    problem(client.checkout(ANA, "key-1"), 422, "idempotency-mismatch").await;

    // The same holds after the inventory has cleaned up the key.
    let cleaned = open.shop.inventory.cleanup_idempotency_keys(Duration::ZERO);
    assert_eq!(cleaned.await.unwrap(), 1);
    problem(client.checkout(ANA, "key-1"), 422, "idempotency-mismatch").await;
    let bought = ["clay-pot", "rug"];
    for (sku, quantity) in bought.into_iter().zip([2, 1]) {
        client.put_into_cart(ANA, sku, quantity).await;
    }
    let path = "/api/marketplace/cart/items/basket";
    body(client.request(Method::DELETE, path).bearer_auth(ANA), 200).await;
    let repeated = body(client.checkout(ANA, "key-1"), 201).await;
    assert_eq!(repeated["id"], order["id"], "the same cart");

    let list = client.get("/api/marketplace/orders").bearer_auth(ANA);
    assert_eq!(body(list, 200).await.as_array().unwrap().len(), 1);
    assert_eq!(client.stock("clay-pot").await, 98);
    open.assert_balanced().await;
}

#[tokio::test]
async fn an_order_belongs_to_its_shopper() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 2).await;
    client.put_into_cart(ANA, "rug", 1).await;
    let order = client.checkout(ANA, "key").send().await.unwrap();
    let location = order.headers()[header::LOCATION].to_str().unwrap();
    let location = location.to_owned();
    body_of(order, 201).await;

    let found = body(client.get(&location).bearer_auth(ANA), 200).await;
    assert_eq!(found["total"]["minor"], 630_000);
    problem(client.get(&location).bearer_auth(LUIS), 404, "not-found").await;
    let paid = client.post(&format!("{location}/pay"), ANA, &json!({}));
    assert_eq!(body(paid, 200).await["status"], "paid");
    let late = client.post(&format!("{location}/cancel"), ANA, &json!({}));
    problem(late, 409, "invalid-order-state").await;

    let list = client.get("/api/marketplace/orders").bearer_auth(ANA);
    assert_eq!(body(list, 200).await.as_array().unwrap().len(), 1);
    let of_luis = client.get("/api/marketplace/cart/items").bearer_auth(LUIS);
    assert_eq!(body(of_luis, 200).await["items"], json!([]));
    assert_eq!(client.stock("clay-pot").await, 98);
    open.assert_balanced().await;
}

#[tokio::test]
async fn one_of_two_shoppers_gets_the_last_unit() {
    let open = OpenShop::new().await;
    let client = &open.client;
    for token in [ANA, LUIS] {
        client.put_into_cart(token, "rug", 1).await;
    }
    let [ana, luis] = [ANA, LUIS].map(|token| client.checkout(token, "key").send());
    let (ana, luis) = tokio::join!(ana, luis);
    let (winner, loser) = match (ana.unwrap(), luis.unwrap()) {
        (ana, luis) if ana.status() == 201 => (ana, luis),
        (ana, luis) => (luis, ana),
    };
    body_of(winner, 201).await;
    let refused = body_of(loser, 400).await;
    assert_eq!(refused["code"], "insufficient-stock");
    let short = json!([{ "sku": "rug", "requested": 1, "available": 0 }]);
    assert_eq!(refused["short"], short);
    assert_eq!(client.stock("rug").await, 0);
    open.assert_balanced().await;
}

#[tokio::test]
async fn a_checkout_reports_what_changed_since_the_cart_was_filled() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "basket", 1).await;
    let change = json!({ "name": "Basket", "price": { "minor": 35_000, "currency": "MXN" } });
    client.change_product("basket", &change).await;
    let refused = problem(client.checkout(ANA, "key"), 409, "price-changed").await;
    assert_eq!(refused["expected"]["minor"], 32_000);
    assert_eq!(refused["actual"]["minor"], 35_000);
    let cart = client.get("/api/marketplace/cart/items").bearer_auth(ANA);
    let cart = body(cart, 200).await;
    assert_eq!(cart["changed"], true);
    assert_eq!(cart["items"][0]["price_changed"], true);
    // Putting it in again accepts the price. The key stays valid, as no order has it.
    client.put_into_cart(ANA, "basket", 1).await;
    body(client.checkout(ANA, "key"), 201).await;

    let item = json!({ "sku": "clay-pot", "quantity": 1, "version": 7 });
    body(client.post("/api/marketplace/cart/items", ANA, &item), 200).await;
    let refused = problem(client.checkout(ANA, "key-2"), 409, "conflict").await;
    let versions = (&refused["expected"], &refused["actual"]);
    assert_eq!(versions, (&json!(7), &json!(1)));
}

#[tokio::test]
async fn a_reservation_holds_the_units_of_the_cart() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "rug", 1).await;
    let minute = json!({ "seconds": 60 });
    let reserve = client.post("/api/marketplace/reservations", ANA, &minute);
    let reservation = body(reserve, 201).await;
    let id = reservation["id"].as_str().unwrap();
    let path = format!("/api/marketplace/reservations/{id}");
    client.put_into_cart(LUIS, "rug", 1).await;
    problem(client.checkout(LUIS, "key"), 400, "insufficient-stock").await;
    problem(client.get(&path).bearer_auth(LUIS), 404, "not-found").await;
    let extend = client.post(&format!("{path}/extend"), ANA, &minute);
    body(extend, 200).await;
    let mut request = address();
    request["reservation"] = json!(id);
    let checkout = client.post("/api/marketplace/checkout", ANA, &request);
    body(checkout, 201).await;
    let late = client.post(&format!("{path}/extend"), ANA, &minute);
    problem(late, 409, "reservation-closed").await;
    open.assert_balanced().await;
}
