//! Products.

use reqwest::{Method, header};
use serde_json::json;

use super::client::{ADMIN, ANA, OpenShop, body, body_of, problem};

#[tokio::test]
async fn a_product_changes_only_from_the_state_that_was_read() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let path = "/api/marketplace/products/clay-pot";
    let read = client.get(path).send().await.unwrap();
    let tag = read.headers()[header::ETAG].clone();
    let unchanged = client.get(path).header(header::IF_NONE_MATCH, &tag);
    assert_eq!(unchanged.send().await.unwrap().status(), 304);

    // A sale changes the shown stock, and does not refuse a new name.
    client.put_into_cart(ANA, "clay-pot", 1).await;
    body(client.checkout(ANA, "key"), 201).await;
    let changed = client.get(path).header(header::IF_NONE_MATCH, &tag);
    assert_eq!(changed.send().await.unwrap().status(), 200);
    let change = json!({ "name": "Pot", "price": { "minor": 50_000, "currency": "MXN" } });
    let put = |token: &str| {
        let request = client.request(Method::PUT, path);
        request.bearer_auth(token).json(&change)
    };
    problem(put(ADMIN), 428, "precondition-required").await;
    problem(put(ANA).header(header::IF_MATCH, &tag), 403, "forbidden").await;
    let changed = put(ADMIN).header(header::IF_MATCH, &tag);
    let changed = changed.send().await.unwrap();
    let new_tag = changed.headers()[header::ETAG].clone();
    assert_eq!(body_of(changed, 200).await["name"], "Pot");
    let stale = put(ADMIN).header(header::IF_MATCH, &tag);
    let stale = problem(stale, 412, "precondition-failed").await;
    assert_eq!(stale["current"]["name"], "Pot");
    body(put(ADMIN).header(header::IF_MATCH, new_tag), 200).await;
}
