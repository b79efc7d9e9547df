//! Requests that are refused.

use optilock::sqlx;
use reqwest::{Method, Response, header};
use serde_json::json;
use tokio::task::JoinSet;

use super::client::{ANA, LUIS, OpenShop, address, body_of, problem};

#[tokio::test]
async fn every_error_is_a_problem() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let items = "/api/marketplace/cart/items";
    let item = json!({ "sku": "rug", "quantity": 1 });
    problem(client.get(items), 401, "unauthorized").await;
    problem(client.get(items).bearer_auth("guess"), 401, "unauthorized").await;
    problem(client.get("/api/report").bearer_auth(ANA), 403, "forbidden").await;
    problem(client.get("/nothing"), 404, "not-found").await;
    let patch = client.request(Method::PATCH, items);
    problem(patch, 405, "method-not-allowed").await;
    let delete = client.request(Method::DELETE, "/healthz");
    problem(delete, 405, "method-not-allowed").await;
    let post = || client.request(Method::POST, items).bearer_auth(ANA);
    let text = post().header(header::CONTENT_TYPE, "text/plain");
    let text = text.body(item.to_string());
    problem(text, 415, "unsupported-media-type").await;
    let json = post().header(header::CONTENT_TYPE, "application/json");
    problem(json.body("{"), 400, "invalid").await;
    let large = json!({ "sku": "x".repeat(100_000), "quantity": 1 });
    problem(client.post(items, ANA, &large), 413, "too-large").await;
    let none = json!({ "sku": "rug", "quantity": 0 });
    problem(client.post(items, ANA, &none), 422, "unprocessable").await;
    let array = json!(["rug", 1, null]);
    problem(client.post(items, ANA, &array), 422, "unprocessable").await;
    let unknown = json!({ "sku": "unicorn", "quantity": 1 });
    problem(client.post(items, ANA, &unknown), 404, "not-found").await;
}

#[tokio::test]
async fn every_wrong_field_of_an_address_is_listed() {
    let open = OpenShop::new().await;
    let mut wrong = address();
    wrong["shipping_address"]["city"] = json!(" ");
    wrong["shipping_address"]["country"] = json!("Atlantis");
    let wrong = open.client.post("/api/marketplace/checkout", ANA, &wrong);
    let wrong = problem(wrong, 400, "invalid").await;
    let city = json!({ "field": "shipping_address.city", "why": "is empty" });
    assert_eq!(wrong["errors"][0], city);
    assert_eq!(wrong["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_internal_error_reveals_nothing() {
    let open = OpenShop::new().await;
    let client = &open.client;
    sqlx::raw_sql("DROP TABLE storefront.shop_carts")
        .execute(&open.db.pool)
        .await
        .unwrap();
    let items = client.get("/api/marketplace/cart/items").bearer_auth(ANA);
    let broken = problem(items, 500, "internal").await;
    assert!(!broken.to_string().contains("shop_carts"), "{broken}");
    open.db.pool.close().await;
    let busy = client.get("/readyz").send().await.unwrap();
    assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
    body_of(busy, 503).await;
    assert_eq!(client.get("/healthz").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_limit_is_per_user() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let mut requests = JoinSet::new();
    for _ in 0..400 {
        let request = client.get("/api/marketplace/cart/items").bearer_auth(ANA);
        requests.spawn(async move { request.send().await.unwrap() });
    }
    let responses = requests.join_all().await;
    let limited = responses.into_iter().filter(|it| it.status() == 429);
    let limited: Vec<Response> = limited.collect();
    assert!(limited.len() > 100, "{} of 400", limited.len());
    assert!(limited[0].headers().contains_key(header::RETRY_AFTER));
    let other = client.get("/api/marketplace/cart/items").bearer_auth(LUIS);
    assert_eq!(other.send().await.unwrap().status(), 200);
}
