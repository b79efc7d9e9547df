//! A client that names the fields in camel case, and sends what `curl -d` sends.

use std::process::Command;

use serde_json::{Value, json};

use super::client::{ANA, LUIS, OpenShop, body};

/// The commands of that client. Host, token and id are replaced.
const ADD: &str = r#"curl -X POST http://localhost:3000/api/marketplace/cart/items -H "Authorization: Bearer TOKEN_USER_1" -d '{"productId": "PRODUCT_ID", "quantity": 1}'"#;
const BUY: &str = r#"curl -X POST http://localhost:3000/api/marketplace/checkout -H "Authorization: Bearer YOUR_TOKEN" -H "Content-Type: application/json" -d '{"shippingAddress": {"street": "Calle Principal 123", "city": "Oaxaca", "state": "Oaxaca", "zipCode": "68000", "country": "México"}}'"#;

/// Runs a command of a shell. Returns status and body of the answer.
fn run(open: &OpenShop, command: &str, token: &str, sku: &str) -> (u16, Value) {
    let command = command
        .replace("localhost:3000", open.client.host())
        .replace("TOKEN_USER_1", token)
        .replace("YOUR_TOKEN", token)
        .replace("PRODUCT_ID", sku);
    let command = format!("{command} --silent --show-error --write-out '\\n%{{http_code}}'");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs curl: {said}");
    let answer = String::from_utf8(output.stdout).unwrap();
    let (body, status) = answer.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_work_as_they_stand() {
    let open = OpenShop::new().await;
    let (status, cart) = run(&open, ADD, ANA, "rug");
    assert_eq!(status, 200, "{cart}");
    assert_eq!(cart["items"][0]["productId"], "rug");
    assert_eq!(cart["items"][0]["currentPrice"]["minor"], 540_000);
    let (status, order) = run(&open, BUY, ANA, "");
    assert_eq!(status, 201, "{order}");
    assert_eq!(order["lines"][0]["productId"], "rug");
    let address = json!({
        "name": "ana", "street": "Calle Principal 123", "city": "Oaxaca", "state": "Oaxaca", "zipCode": "68000",
        "country": "MX", "phone": null
    });
    assert_eq!(order["shippingAddress"], address);

    // What is short, and what has changed.
    run(&open, ADD, LUIS, "rug");
    let (status, refused) = run(&open, BUY, LUIS, "");
    assert_eq!(
        (status, &refused["code"]),
        (400, &json!("insufficient-stock"))
    );
    assert_eq!(refused["short"][0]["productId"], "rug");
    let path = "/api/marketplace/cart/items/rug";
    let remove = open.client.request(reqwest::Method::DELETE, path);
    body(remove.bearer_auth(LUIS), 200).await;
    run(&open, ADD, LUIS, "basket");
    let change = json!({ "name": "Basket", "price": { "minor": 1, "currency": "MXN" } });
    open.client.change_product("basket", &change).await;
    let (status, refused) = run(&open, BUY, LUIS, "");
    assert_eq!((status, &refused["code"]), (409, &json!("price-changed")));
    assert_eq!(refused["productId"], "basket");
    open.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_has_one_name() {
    let open = OpenShop::new().await;
    let path = "/api/marketplace/cart/items";
    for (body, what) in [
        (
            json!({ "productId": "rug", "sku": "rug", "quantity": 1 }),
            "sku is given twice",
        ),
        (
            json!({ "productId": "rug", "quantity": 1, "colour": "red" }),
            "colour",
        ),
        (
            json!({ "PRODUCTID": "rug", "quantity": 1 }),
            "unknown field",
        ),
    ] {
        let refused = open.client.post(path, ANA, &body).send().await.unwrap();
        assert_eq!(refused.status(), 422);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["code"], "unprocessable");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(what), "{detail}");
    }
    let mut wrong = json!({ "shippingAddress": { "street": "a", "city": " ", "zipCode": "6", "country": "Atlantis" } });
    wrong["shippingAddress"]["name"] = json!("Ana");
    let refused = open.client.post("/api/marketplace/checkout", ANA, &wrong);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let refused: Value = refused.json().await.unwrap();
    let fields = refused["errors"].as_array().unwrap().iter();
    let fields: Vec<&str> = fields
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "shippingAddress.city",
            "shippingAddress.zipCode",
            "shippingAddress.country"
        ]
    );
    assert!(refused["requestId"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_is_no_json() {
    let open = OpenShop::new().await;
    let item = r#"{"productId": "rug", "quantity": 1}"#;
    let form = open
        .client
        .request(reqwest::Method::POST, "/api/marketplace/cart/items");
    let form = form.header(
        reqwest::header::CONTENT_TYPE,
        "application/x-www-form-urlencoded",
    );
    let refused = form.body(item).send().await.unwrap().status();
    assert_eq!(refused, 401, "it has no token");
    assert_eq!(body(open.client.cart(ANA), 200).await["items"], json!([]));
}
