//! The example's shop over real HTTP.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    inventory::Inventory,
    sqlx::{self, PgPool},
};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    support::db::{Db, assert_books, pool_options},
    support::goods::add,
};
use storefront::{self as app, App, Shop};

const ANA: &str = "demo-ana";
const LUIS: &str = "demo-luis";
const ADMIN: &str = "demo-admin";

/// A shop that is open, with what the example has on its shelves.
struct Open {
    db: Db,
    shop: Shop,
    stop: watch::Sender<bool>,
    client: Browser,
}

#[derive(Clone)]
struct Browser {
    client: Client,
    url: String,
}

impl Open {
    async fn new() -> Self {
        let db = Db::new().await;
        let (stop, stopped) = watch::channel(false);
        let shop = App::open(db.pool.clone(), stopped.clone()).await.unwrap();
        let url = serve(&shop).await;
        tokio::spawn(app::ticks::run(Arc::clone(&shop), stopped));
        let client = Browser::at(url);
        Self {
            db,
            shop,
            stop,
            client,
        }
    }
}

async fn serve(shop: &Shop) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = app::router(Arc::clone(shop));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

impl Browser {
    fn at(url: String) -> Self {
        let client = Client::new();
        Self { client, url }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path)
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.ask(Method::POST, path).bearer_auth(token).json(body)
    }

    async fn put_into_cart(&self, token: &str, sku: &str, quantity: i64) -> Value {
        let item = json!({ "sku": sku, "quantity": quantity });
        let put = self.post("/api/marketplace/cart/items", token, &item);
        body(put.send().await.unwrap(), 200).await
    }

    fn checkout(&self, token: &str, key: &str) -> RequestBuilder {
        let checkout = self.post("/api/marketplace/checkout", token, &address());
        checkout.header("Idempotency-Key", key)
    }
}

fn address() -> Value {
    json!({ "shipping_address": {
        "name": "Ana", "street": "Reforma 1", "city": "Oaxaca", "postal_code": "68000", "country": "MX"
    } })
}

/// The JSON of an answer, which is a problem if and only if it is no success.
async fn body(answer: Response, status: u16) -> Value {
    let media_type = answer.headers()[header::CONTENT_TYPE].clone();
    let (found, id) = (answer.status(), answer.headers()["x-request-id"].clone());
    let text = answer.text().await.unwrap();
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

async fn problem(request: RequestBuilder, status: u16, code: &str) -> Value {
    let problem = body(request.send().await.unwrap(), status).await;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["type"], json!(format!("/problems/{code}")));
    problem
}

async fn stock(client: &Browser, sku: &str) -> i64 {
    let path = format!("/api/marketplace/products/{sku}");
    let product = body(client.get(&path).send().await.unwrap(), 200).await;
    product["stock"].as_i64().unwrap()
}

#[tokio::test]
async fn a_cart_becomes_one_order_however_often_it_is_asked_for() {
    let open = Open::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 5).await;
    client.put_into_cart(ANA, "clay-pot", 2).await;
    let cart = client.put_into_cart(ANA, "rug", 1).await;
    assert_eq!(
        cart["total"],
        json!({ "minor": 630_000, "currency": "MXN" })
    );

    let first = client.checkout(ANA, "\"the key\"").send().await.unwrap();
    assert_eq!(
        body(first, 400).await["code"],
        "invalid",
        "a space is not visible"
    );
    let first = client.checkout(ANA, "\"key-1\"").send().await.unwrap();
    let location = first.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let order = body(first, 201).await;
    assert_eq!(order["status"], "pending-payment");
    assert_eq!(order["shipping_address"]["city"], "Oaxaca");

    // The cart is empty now, and the key is the same without quotes.
    let again = client.checkout(ANA, "key-1").send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(body(again, 201).await["id"], order["id"]);
    let empty = client.checkout(ANA, "key-2");
    problem(empty, 400, "empty-cart").await;

    // Another address, or another cart, is another request.
    let mut elsewhere = address();
    elsewhere["shipping_address"]["city"] = json!("Puebla");
    let elsewhere = client.post("/api/marketplace/checkout", ANA, &elsewhere);
    let elsewhere = elsewhere.header("Idempotency-Key", "key-1");
    problem(elsewhere, 422, "idempotency-mismatch").await;
    client.put_into_cart(ANA, "basket", 1).await;
    problem(client.checkout(ANA, "key-1"), 422, "idempotency-mismatch").await;
    // Also when the inventory has forgotten the key, which it does in time.
    let forgotten = open.shop.inventory.cleanup_idempotency_keys(Duration::ZERO);
    assert_eq!(forgotten.await.unwrap(), 1);
    problem(client.checkout(ANA, "key-1"), 422, "idempotency-mismatch").await;
    let bought = ["clay-pot", "rug"];
    for (sku, quantity) in bought.into_iter().zip([2, 1]) {
        client.put_into_cart(ANA, sku, quantity).await;
    }
    let path = "/api/marketplace/cart/items/basket";
    let out = client.ask(Method::DELETE, path).bearer_auth(ANA);
    body(out.send().await.unwrap(), 200).await;
    let again = client.checkout(ANA, "key-1").send().await.unwrap();
    assert_eq!(body(again, 201).await["id"], order["id"], "the same cart");

    let found = client.get(&location).bearer_auth(ANA).send().await.unwrap();
    assert_eq!(body(found, 200).await["total"]["minor"], 630_000);
    let others = client.get(&location).bearer_auth(LUIS);
    problem(others, 404, "not-found").await;
    let paid = client.post(&format!("{location}/pay"), ANA, &json!({}));
    assert_eq!(
        body(paid.send().await.unwrap(), 200).await["status"],
        "paid"
    );
    let late = client.post(&format!("{location}/cancel"), ANA, &json!({}));
    problem(late, 409, "invalid-order-state").await;

    let list = client.get("/api/marketplace/orders").bearer_auth(ANA);
    let list = body(list.send().await.unwrap(), 200).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let of_luis = client.get("/api/marketplace/cart/items").bearer_auth(LUIS);
    assert_eq!(
        body(of_luis.send().await.unwrap(), 200).await["items"],
        json!([])
    );
    assert_eq!(stock(client, "clay-pot").await, 98);
    assert_books(&open.db.pool).await;
}

#[tokio::test]
async fn two_want_the_last_one() {
    let open = Open::new().await;
    let client = &open.client;
    for token in [ANA, LUIS] {
        client.put_into_cart(token, "rug", 1).await;
    }
    let race = [ANA, LUIS].map(|token| client.checkout(token, "key").send());
    let [ana, luis] = race;
    let (ana, luis) = tokio::join!(ana, luis);
    let (winner, loser) = match (ana.unwrap(), luis.unwrap()) {
        (ana, luis) if ana.status() == 201 => (ana, luis),
        (ana, luis) => (luis, ana),
    };
    body(winner, 201).await;
    let refused = body(loser, 400).await;
    assert_eq!(refused["code"], "insufficient-stock");
    let short = json!([{ "sku": "rug", "requested": 1, "available": 0 }]);
    assert_eq!(refused["short"], short);
    assert_eq!(stock(client, "rug").await, 0);
    assert_books(&open.db.pool).await;
}

#[tokio::test]
async fn a_product_is_changed_as_it_was_read() {
    let open = Open::new().await;
    let client = &open.client;
    let path = "/api/marketplace/products/clay-pot";
    let read = client.get(path).send().await.unwrap();
    let tag = read.headers()[header::ETAG].clone();
    let held = client.get(path).header(header::IF_NONE_MATCH, &tag);
    assert_eq!(held.send().await.unwrap().status(), 304);

    // A sale changes what is shown, and is not in the way of a new name.
    client.put_into_cart(ANA, "clay-pot", 1).await;
    body(client.checkout(ANA, "key").send().await.unwrap(), 201).await;
    let held = client.get(path).header(header::IF_NONE_MATCH, &tag);
    assert_eq!(held.send().await.unwrap().status(), 200);
    let change = json!({ "name": "Pot", "price": { "minor": 50_000, "currency": "MXN" } });
    let put = |token: &str| {
        client
            .ask(Method::PUT, path)
            .bearer_auth(token)
            .json(&change)
    };
    problem(put(ADMIN), 428, "precondition-required").await;
    problem(put(ANA).header(header::IF_MATCH, &tag), 403, "forbidden").await;
    let changed = put(ADMIN)
        .header(header::IF_MATCH, &tag)
        .send()
        .await
        .unwrap();
    let new_tag = changed.headers()[header::ETAG].clone();
    assert_eq!(body(changed, 200).await["name"], "Pot");
    let stale = problem(
        put(ADMIN).header(header::IF_MATCH, &tag),
        412,
        "precondition-failed",
    )
    .await;
    assert_eq!(stale["current"]["name"], "Pot");
    let now = put(ADMIN).header(header::IF_MATCH, new_tag);
    body(now.send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn what_changed_since_it_was_seen_is_told() {
    let open = Open::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "basket", 1).await;
    let change = json!({ "name": "Basket", "price": { "minor": 35_000, "currency": "MXN" } });
    let put = client.ask(Method::PUT, "/api/marketplace/products/basket");
    let put = put
        .bearer_auth(ADMIN)
        .header(header::IF_MATCH, "*")
        .json(&change);
    body(put.send().await.unwrap(), 200).await;
    let refused = problem(client.checkout(ANA, "key"), 409, "price-changed").await;
    assert_eq!(refused["expected"]["minor"], 32_000);
    assert_eq!(refused["actual"]["minor"], 35_000);
    let cart = client.get("/api/marketplace/cart/items").bearer_auth(ANA);
    let cart = body(cart.send().await.unwrap(), 200).await;
    assert_eq!(cart["changed"], true);
    assert_eq!(cart["items"][0]["price_changed"], true);
    // Put in again is agreed; the key is still good, as nothing was made with it.
    client.put_into_cart(ANA, "basket", 1).await;
    body(client.checkout(ANA, "key").send().await.unwrap(), 201).await;

    let insists = json!({ "sku": "clay-pot", "quantity": 1, "version": 7 });
    let insists = client.post("/api/marketplace/cart/items", ANA, &insists);
    body(insists.send().await.unwrap(), 200).await;
    let refused = problem(client.checkout(ANA, "key-2"), 409, "conflict").await;
    assert_eq!(
        (&refused["expected"], &refused["actual"]),
        (&json!(7), &json!(1))
    );
}

#[tokio::test]
async fn a_reservation_holds_what_is_in_the_cart() {
    let open = Open::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "rug", 1).await;
    let hold = client.post(
        "/api/marketplace/reservations",
        ANA,
        &json!({ "seconds": 60 }),
    );
    let held = body(hold.send().await.unwrap(), 201).await;
    let path = format!(
        "/api/marketplace/reservations/{}",
        held["id"].as_str().unwrap()
    );
    client.put_into_cart(LUIS, "rug", 1).await;
    problem(client.checkout(LUIS, "key"), 400, "insufficient-stock").await;
    problem(client.get(&path).bearer_auth(LUIS), 404, "not-found").await;
    let longer = client.post(&format!("{path}/extend"), ANA, &json!({ "seconds": 60 }));
    body(longer.send().await.unwrap(), 200).await;
    let mut request = address();
    request["reservation"] = held["id"].clone();
    let bought = client.post("/api/marketplace/checkout", ANA, &request);
    body(bought.send().await.unwrap(), 201).await;
    let late = client.post(&format!("{path}/extend"), ANA, &json!({ "seconds": 60 }));
    problem(late, 409, "reservation-closed").await;
    assert_books(&open.db.pool).await;
}

#[tokio::test]
async fn whatever_is_wrong_is_a_problem() {
    let open = Open::new().await;
    let client = &open.client;
    let items = "/api/marketplace/cart/items";
    let item = json!({ "sku": "rug", "quantity": 1 });
    problem(client.get(items), 401, "unauthorized").await;
    problem(client.get(items).bearer_auth("guess"), 401, "unauthorized").await;
    problem(client.get("/api/report").bearer_auth(ANA), 403, "forbidden").await;
    problem(client.get("/nothing"), 404, "not-found").await;
    problem(client.ask(Method::PATCH, items), 405, "method-not-allowed").await;
    problem(
        client.ask(Method::DELETE, "/healthz"),
        405,
        "method-not-allowed",
    )
    .await;
    let text = client
        .ask(Method::POST, items)
        .bearer_auth(ANA)
        .body(item.to_string());
    problem(text, 415, "unsupported-media-type").await;
    let broken = client.ask(Method::POST, items).bearer_auth(ANA);
    let broken = broken
        .header(header::CONTENT_TYPE, "application/json")
        .body("{");
    problem(broken, 400, "invalid").await;
    let large = json!({ "sku": "x".repeat(100_000), "quantity": 1 });
    problem(client.post(items, ANA, &large), 413, "too-large").await;
    let none = json!({ "sku": "rug", "quantity": 0 });
    problem(client.post(items, ANA, &none), 422, "unprocessable").await;
    problem(
        client.post(items, ANA, &json!(["rug", 1, null])),
        422,
        "unprocessable",
    )
    .await;
    let unknown = json!({ "sku": "unicorn", "quantity": 1 });
    problem(client.post(items, ANA, &unknown), 404, "not-found").await;

    let mut nowhere = address();
    nowhere["shipping_address"]["city"] = json!(" ");
    nowhere["shipping_address"]["country"] = json!("Mexico");
    let nowhere = client.post("/api/marketplace/checkout", ANA, &nowhere);
    let nowhere = problem(nowhere, 400, "invalid").await;
    assert_eq!(
        nowhere["errors"][0],
        json!({ "field": "shipping_address.city", "why": "is empty" })
    );
    assert_eq!(nowhere["errors"].as_array().unwrap().len(), 2);

    // What is broken here is nobody's business.
    sqlx::raw_sql("DROP TABLE storefront.cart_items")
        .execute(&open.db.pool)
        .await
        .unwrap();
    let broken = problem(client.get(items).bearer_auth(ANA), 500, "internal").await;
    assert!(!broken.to_string().contains("cart_items"), "{broken}");
    open.db.pool.close().await;
    let busy = client.get("/readyz").send().await.unwrap();
    assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
    body(busy, 503).await;
    assert_eq!(client.get("/healthz").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_is_slowed_down() {
    let open = Open::new().await;
    let client = &open.client;
    let mut requests = JoinSet::new();
    for _ in 0..400 {
        let request = client.get("/api/marketplace/cart/items").bearer_auth(ANA);
        requests.spawn(async move { request.send().await.unwrap() });
    }
    let slowed = requests.join_all().await;
    let slowed = slowed.into_iter().filter(|answer| answer.status() == 429);
    let slowed: Vec<Response> = slowed.collect();
    assert!(slowed.len() > 100, "{} of 400", slowed.len());
    assert!(slowed[0].headers().contains_key(header::RETRY_AFTER));
    let other = client.get("/api/marketplace/cart/items").bearer_auth(LUIS);
    assert_eq!(other.send().await.unwrap().status(), 200);
}

/// So many buyers, each with a cart and a key of their own: the statuses of their checkouts.
async fn rush(client: &Browser, buyers: u32) -> Vec<Option<u16>> {
    let mut crowd = JoinSet::new();
    for buyer in 1..=buyers {
        let client = client.clone();
        crowd.spawn(async move {
            let checkout = client.checkout(&format!("demo-load-{buyer}"), &format!("key-{buyer}"));
            checkout
                .send()
                .await
                .ok()
                .map(|answer| answer.status().as_u16())
        });
    }
    crowd.join_all().await
}

async fn fill_carts(client: &Browser, buyers: u32) {
    let mut crowd = JoinSet::new();
    for buyer in 1..=buyers {
        let client = client.clone();
        crowd.spawn(async move {
            client
                .put_into_cart(&format!("demo-load-{buyer}"), "clay-pot", 1)
                .await;
        });
    }
    crowd.join_all().await;
}

fn count(answers: &[Option<u16>], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| **answer == Some(status))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_buys_what_there_is() {
    let open = Open::new().await;
    let client = &open.client;
    fill_carts(client, 256).await;
    let answers = rush(client, 256).await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 400)),
        (100, 156),
        "{answers:?}"
    );
    assert_eq!(stock(client, "clay-pot").await, 0);
    assert!(open.shop.inventory.audit().await.unwrap().is_clean());
    assert_books(&open.db.pool).await;
}

/// Run by [`whoever_is_killed_sells_nothing_twice`] as a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is killed"]
async fn serves_until_it_is_killed() {
    let url = std::env::var("STOREFRONT_TEST_DATABASE").expect("started by another test");
    let pool = pool_options(16).connect(&url).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let shop = App::open(pool, stopped).await.unwrap();
    println!("serving at {}", serve(&shop).await);
    std::future::pending::<()>().await;
}

/// Killed when it is dropped.
struct Killable(Child, Browser);

impl Killable {
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "storefront::serves_until_it_is_killed",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env("STOREFRONT_TEST_DATABASE", url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("serving at ")
                .map(|(_, url)| url.to_owned())
        });
        let browser = Browser::at(serving.expect("it says where"));
        Self(child, browser)
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        // SIGKILL.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_sells_nothing_twice() {
    let db = Db::new().await;
    let first = Killable::start(db.database.url());
    fill_carts(&first.1, 256).await;
    let (client, pool) = (first.1.clone(), db.pool.clone());
    let rushing = tokio::spawn(async move { rush(&client, 256).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while number(&pool, "SELECT count(*) FROM optilock.orders").await < 10 {
        assert!(Instant::now() < deadline, "nothing is sold");
    }
    drop(first);
    let before = rushing.await.unwrap();
    let second = Killable::start(db.database.url());
    let answers = rush(&second.1, 256).await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 400)),
        (100, 156),
        "{answers:?}"
    );
    assert!(count(&before, 201) <= 100, "{before:?}");
    assert_eq!(stock(&second.1, "clay-pot").await, 0);
    let orders = "SELECT count(*) FROM optilock.orders WHERE status = 0";
    assert_eq!(number(&pool, orders).await, 100);
    let keys = "SELECT count(DISTINCT idempotency_key) FROM storefront.deliveries";
    assert_eq!(number(&pool, keys).await, 100);
    let left = "SELECT count(*) FROM storefront.cart_items";
    assert_eq!(number(&pool, left).await, 156);
    assert_books(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_race_and_the_dashboard_are_told_as_they_happen() {
    let open = Open::new().await;
    let client = &open.client;
    let race = json!({ "buyers": 60, "units": null });
    let race = client.post("/api/race", ADMIN, &race).send().await.unwrap();
    let told = race.text().await.unwrap();
    assert_eq!(told.matches("event: answer").count(), 120, "{told}");
    let (_, end) = told.split_once("event: end\ndata: ").unwrap();
    let end: Value = serde_json::from_str(end.lines().next().unwrap()).unwrap();
    assert_eq!(end["optilock"]["sold"], 10);
    assert_eq!(end["optilock"]["stock_after"], 0);
    let naive = end["naive"]["sold"].as_i64().unwrap();
    assert_eq!(end["naive"]["stock_after"], json!(10 - naive));

    // What they race for is on no shelf, and the stream ends when the shop is closed.
    add(&open.shop.inventory, "race-prize", 1).await;
    let list = client.get("/api/marketplace/products").send().await;
    let list = body(list.unwrap(), 200).await.to_string();
    assert!(list.contains("rug") && !list.contains("race-"), "{list}");
    let mut events = client
        .get("/api/dashboard/events")
        .bearer_auth(ADMIN)
        .send()
        .await
        .unwrap();
    // The first may be from before the prize was there.
    for _ in 0..2 {
        let tick = events.chunk().await.unwrap().unwrap();
        let tick = String::from_utf8(tick.to_vec()).unwrap();
        assert!(tick.starts_with("event: tick\ndata: {"), "{tick}");
        assert!(tick.contains("rug") && !tick.contains("race-"), "{tick}");
    }
    open.stop.send_replace(true);
    while events.chunk().await.unwrap().is_some() {}
    assert_eq!(client.get("/readyz").send().await.unwrap().status(), 503);
    assert_books(&open.db.pool).await;
}

/// Those of the document, and those of the router, as "GET /path".
fn operations() -> (BTreeSet<String>, Value) {
    let document = include_str!("../../../examples/storefront/src/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        let methods = methods.filter(|it| matches!(it.as_str(), "get" | "put" | "post" | "delete"));
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    (operations, document)
}

#[tokio::test]
async fn the_document_tells_what_the_router_has() {
    let open = Open::new().await;
    let client = &open.client;
    let (documented, document) = operations();
    let source = include_str!("../../../examples/storefront/src/lib.rs");
    let source = source
        .split_once("pub fn router")
        .unwrap()
        .1
        .replace(['\n', ' '], "");
    let mut routed = BTreeSet::new();
    let (marketplace, others) = source.split_once("letrouter=").unwrap();
    for (prefix, routes) in [("/api/marketplace", marketplace), ("", others)] {
        for route in routes.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').unwrap();
            for method in ["get", "put", "post", "delete"] {
                if handlers.contains(&format!("{method}(")) {
                    routed.insert(format!("{} {prefix}{path}", method.to_uppercase()));
                }
            }
        }
    }
    // Pages for people.
    for page in ["/", "/dashboard", "/assets/{file}", "/problems/{code}"] {
        assert!(routed.remove(&format!("GET {page}")), "{page}");
    }
    let documented_but_for_pages: BTreeSet<_> = documented
        .into_iter()
        .filter(|it| it != "GET /problems/{code}")
        .collect();
    assert_eq!(documented_but_for_pages, routed);
    let served = client.get("/openapi.json").send().await.unwrap();
    assert_eq!(body(served, 200).await, document);
}

/// A word and all that looks like a metric's name after it.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |name: &&str| {
        ["optilock_", "http_re", "storefront_"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    names.filter(ours).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_watched_is_there() {
    let open = Open::new().await;
    let client = &open.client;
    let change = json!({ "name": "Rug", "price": { "minor": 1, "currency": "MXN" } });
    let put = client.ask(Method::PUT, "/api/marketplace/products/rug");
    let put = put
        .bearer_auth(ADMIN)
        .header(header::IF_MATCH, "*")
        .json(&change);
    body(put.send().await.unwrap(), 200).await;
    client.put_into_cart(ANA, "rug", 1).await;
    body(client.checkout(ANA, "key").send().await.unwrap(), 201).await;
    // Gauges come with the first tick.
    let mut events = client
        .get("/api/dashboard/events")
        .bearer_auth(ADMIN)
        .send()
        .await
        .unwrap();
    events.chunk().await.unwrap();
    let shown = client
        .get("/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for file in [
        include_str!("../../../examples/storefront/ops/alerts.yml"),
        include_str!("../../../examples/storefront/ops/grafana.json"),
    ] {
        let watched = metrics_in(file);
        assert!(watched.len() >= 5, "{watched:?}");
        for name in watched {
            let there = shown.lines().any(|line| {
                let rest = line.strip_prefix(&*name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            assert!(there, "{name} is not in\n{shown}");
        }
    }
}
