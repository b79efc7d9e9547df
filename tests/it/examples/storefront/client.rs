//! An open shop, and a client of it.

use std::{io, net::TcpListener, sync::Arc};

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use storefront::{App, Settings, Shop, database, ticks};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::db::{Db, assert_balanced_in};

pub const ANA: &str = "demo-ana";
pub const LUIS: &str = "demo-luis";
pub const ADMIN: &str = "demo-admin";

/// A shop that is open, with the products of the example.
pub struct OpenShop {
    pub db: Db,
    pub shop: Shop,
    pub stop: watch::Sender<bool>,
    pub client: Client,
    /// Ends when the shop has stopped.
    pub serving: JoinHandle<io::Result<()>>,
}

impl OpenShop {
    pub async fn new() -> Self {
        Self::on(Db::empty().await).await
    }

    /// Opens the shop on an empty database.
    pub async fn on(db: Db) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shop = App::open(db.pool.clone(), Settings::default(), stopped.clone());
        let shop = shop.await.unwrap();
        let (url, serving) = serve(&shop);
        tokio::spawn(ticks::run(Arc::clone(&shop), stopped));
        Self {
            db,
            shop,
            stop,
            client: Client::new(url),
            serving,
        }
    }

    pub async fn assert_balanced(&self) {
        assert_balanced_in(&self.db.pool, database::SCHEMA).await;
    }
}

/// Serves the shop at a free port. Returns its URL, and the task.
pub fn serve(shop: &Shop) -> (String, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(storefront::serve(listener, Arc::clone(shop)));
    (url, serving)
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::new();
        Self { http, url }
    }

    /// Returns host and port of the shop.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        request.bearer_auth(token).json(body)
    }

    pub async fn put_into_cart(&self, token: &str, sku: &str, quantity: i64) -> Value {
        body(self.add(token, sku, quantity), 200).await
    }

    pub fn cart(&self, token: &str) -> RequestBuilder {
        self.get("/api/marketplace/cart/items").bearer_auth(token)
    }

    /// Returns the `ETag` of the cart.
    pub async fn cart_tag(&self, token: &str) -> String {
        let cart = self.cart(token).send().await.unwrap();
        tag(&cart)
    }

    pub fn add(&self, token: &str, sku: &str, quantity: i64) -> RequestBuilder {
        let item = json!({ "sku": sku, "quantity": quantity });
        self.post("/api/marketplace/cart/items", token, &item)
    }

    /// Buys the cart without a key, at the version that the shopper has seen.
    pub fn buy(&self, token: &str, tag: &str) -> RequestBuilder {
        let checkout = self.post("/api/marketplace/checkout", token, &address());
        checkout.header(header::IF_MATCH, tag)
    }

    /// Changes a product, whatever its state is.
    pub async fn change_product(&self, sku: &str, change: &Value) {
        let put = self.request(Method::PUT, &format!("/api/marketplace/products/{sku}"));
        let put = put.bearer_auth(ADMIN).header(header::IF_MATCH, "*");
        body(put.json(change), 200).await;
    }

    pub fn checkout(&self, token: &str, key: &str) -> RequestBuilder {
        let checkout = self.post("/api/marketplace/checkout", token, &address());
        checkout.header("Idempotency-Key", key)
    }

    pub async fn stock(&self, sku: &str) -> i64 {
        let path = format!("/api/marketplace/products/{sku}");
        let product = body(self.get(&path), 200).await;
        product["stock"].as_i64().unwrap()
    }
}

/// Returns the `ETag` of a response.
pub fn tag(response: &Response) -> String {
    response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned()
}

pub fn address() -> Value {
    json!({ "shipping_address": {
        "name": "Ana", "street": "Reforma 1", "city": "Oaxaca", "postal_code": "68000", "country": "MX"
    } })
}

/// Sends the request. Returns the JSON of the response, which must be a problem unless it is a success.
pub async fn body(request: RequestBuilder, status: u16) -> Value {
    body_of(request.send().await.unwrap(), status).await
}

pub async fn body_of(response: Response, status: u16) -> Value {
    let media_type = response.headers()[header::CONTENT_TYPE].clone();
    let (found, id) = (
        response.status(),
        response.headers()["x-request-id"].clone(),
    );
    let text = response.text().await.unwrap();
    assert_eq!(found.as_u16(), status, "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    if found.is_success() {
        assert_eq!(media_type, "application/json");
    } else {
        assert_eq!(media_type, "application/problem+json");
        assert_eq!(body["status"], json!(status));
        assert_eq!(body["request_id"], json!(id.to_str().unwrap()));
    }
    body
}

pub async fn problem(request: RequestBuilder, status: u16, code: &str) -> Value {
    let problem = body(request, status).await;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["type"], json!(format!("/problems/{code}")));
    problem
}
