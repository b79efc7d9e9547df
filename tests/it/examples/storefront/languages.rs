//! The texts of the server in English and Spanish.

use reqwest::header;
use serde_json::{Value, json};

use super::client::{ADMIN, ANA, OpenShop, address, body};

#[tokio::test]
async fn a_client_is_answered_in_its_language() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let products = || client.get("/api/marketplace/products");
    let spanish = products().header(header::ACCEPT_LANGUAGE, "es-MX,es;q=0.9,en;q=0.8");
    let answer = spanish.send().await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_LANGUAGE], "es");
    assert_eq!(answer.headers()[header::VARY], "accept-language");
    let spanish: Value = answer.json().await.unwrap();
    assert_eq!(spanish[3]["name"], "Olla de barro");
    let english = body(
        products().header(header::ACCEPT_LANGUAGE, "de, en;q=0.5"),
        200,
    )
    .await;
    assert_eq!(english[3]["name"], "Clay pot");

    let path = "/api/marketplace/products/rug";
    let mut tags = Vec::new();
    for language in ["en", "es"] {
        let product = client.get(path).header(header::ACCEPT_LANGUAGE, language);
        let product = product.send().await.unwrap();
        tags.push(product.headers()[header::ETAG].clone());
    }
    assert_ne!(tags[0], tags[1], "the bytes differ");
    // A change names what was read, in either language.
    let change = json!({ "name": "Rug", "price": { "minor": 1, "currency": "MXN" } });
    let put = client
        .request(reqwest::Method::PUT, path)
        .bearer_auth(ADMIN);
    body(put.header(header::IF_MATCH, &tags[1]).json(&change), 200).await;

    client.put_into_cart(ANA, "basket", 1).await;
    let cart = client.cart(ANA).header(header::ACCEPT_LANGUAGE, "es");
    assert_eq!(
        body(cart, 200).await["items"][0]["name"],
        "Canasta de palma"
    );
}

#[tokio::test]
async fn every_problem_has_texts_in_spanish() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let mut wrong = address();
    wrong["shipping_address"]["city"] = json!("");
    let checkout = client.post("/api/marketplace/checkout", ANA, &wrong);
    let refused = body(checkout.header(header::ACCEPT_LANGUAGE, "es"), 400).await;
    assert_eq!(refused["title"], "Petición no válida");
    assert_eq!(refused["errors"][0]["why"], "está vacío");
    let limit = client.get("/api/marketplace/products?limit=0");
    let refused = body(limit.header(header::ACCEPT_LANGUAGE, "es"), 400).await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.ends_with("[en: limit: 1 to 100]"), "{detail}");
    let page = client
        .get("/problems/empty-cart")
        .header(header::ACCEPT_LANGUAGE, "es");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("lang=\"es\"") && page.contains("El carrito está vacío"),
        "{page}"
    );
}
