//! One version of a cart becomes one order, and no change of a cart is lost.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::sqlx::{self, PgPool};
use reqwest::{RequestBuilder, Response, header};
use serde_json::{Value, json};
use storefront::database;
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    client::{ANA, Client, OpenShop, address, body, body_of, problem, tag},
    process::ShopProcess,
};
use crate::support::db::{Db, assert_balanced_in};

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Two processes of one shop.
struct TwoShops {
    db: Db,
    shops: [ShopProcess; 2],
}

impl TwoShops {
    fn clients(&self) -> [&Client; 2] {
        self.shops.each_ref().map(|shop| &shop.client)
    }

    async fn open() -> Self {
        let db = Db::empty().await;
        let url = db.database.url();
        Self {
            shops: [ShopProcess::start(url), ShopProcess::start(url)],
            db,
        }
    }
}

/// Sends two requests at the same time. Returns status and body of each.
async fn race(requests: [RequestBuilder; 2]) -> [(u16, Value); 2] {
    let barrier = Arc::new(Barrier::new(2));
    let [first, second] = requests.map(|request| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            answer_of(request.send().await).await
        })
    });
    [first.await.unwrap(), second.await.unwrap()]
}

/// Returns status and body.
async fn answer_of(response: reqwest::Result<Response>) -> (u16, Value) {
    let response = response.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_with_two_keys_make_one_order() {
    let two = TwoShops::open().await;
    let [here, there] = two.clients();
    let enough = json!({ "delta": 1_000, "reason": "delivery" });
    let path = "/api/marketplace/products/clay-pot/stock";
    body(here.post(path, super::client::ADMIN, &enough), 200).await;
    let stock = here.stock("clay-pot").await;

    let mut answers = BTreeMap::<String, u32>::new();
    for buyer in 1..=200 {
        let token = format!("demo-load-{buyer}");
        body(here.add(&token, "clay-pot", 1), 200).await;
        let seen = here.cart_tag(&token).await;
        // With the cart's version and without it, with keys and without them.
        let requests = [here, there].map(|shop| {
            let request = shop.post("/api/marketplace/checkout", &token, &address());
            let key = format!("{buyer}-{}", uuid::Uuid::now_v7());
            match buyer % 4 {
                0 => request.header("Idempotency-Key", key),
                1 => request.header(header::IF_MATCH, &seen),
                2 => request
                    .header(header::IF_MATCH, &seen)
                    .header("Idempotency-Key", key),
                _ => request,
            }
        });
        let both = race(requests).await;
        let ids: Vec<&Value> = both
            .iter()
            .filter(|(status, _)| *status == 201)
            .map(|(_, order)| &order["id"])
            .collect();
        assert!(!ids.is_empty(), "{both:?}");
        assert!(ids.iter().all(|id| *id == ids[0]), "two orders: {both:?}");
        for (status, answer) in &both {
            let what = answer["code"].as_str().unwrap_or("order").to_owned();
            // Without its version, the cart of after the sale is empty.
            let allowed = match *status {
                201 | 409 | 412 => true,
                400 => buyer % 4 == 0 || buyer % 4 == 3,
                _ => false,
            };
            assert!(allowed, "{status} {answer}");
            *answers.entry(format!("{status} {what}")).or_default() += 1;
        }
    }
    println!("{answers:?}");
    let pool = &two.db.pool;
    let orders = "SELECT count(*) FROM storefront.orders WHERE status = 0";
    assert_eq!(number(pool, orders).await, 200);
    let deliveries = "SELECT count(*) FROM storefront.shop_deliveries";
    assert_eq!(number(pool, deliveries).await, 200);
    assert_eq!(here.stock("clay-pot").await, stock - 200);
    assert_balanced_in(pool, database::SCHEMA).await;
}

/// Returns the units of a product in the cart.
async fn in_cart(client: &Client, token: &str, sku: &str) -> i64 {
    let cart = body(client.cart(token), 200).await;
    units_of(&cart["items"], sku)
}

fn units_of(lines: &Value, sku: &str) -> i64 {
    let lines = lines.as_array().unwrap().iter();
    let of_product = lines.filter(|line| line["sku"] == sku);
    of_product
        .map(|line| line["quantity"].as_i64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_added_is_bought_or_stays() {
    let two = TwoShops::open().await;
    let [here, there] = two.clients();
    let (mut bought, mut kept, mut refused_adds, mut refused_checkouts) = (0, 0, 0, 0);
    let begin = Instant::now();
    let mut longest_add = Duration::ZERO;
    for round in 0.. {
        let enough = [bought, kept, refused_adds, refused_checkouts];
        if round >= 200 && enough.iter().all(|count| *count >= 20) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{enough:?}");
        let token = format!("demo-load-{}", 1_000 + round);
        body(here.add(&token, "mezcal-cup", 1), 200).await;
        let seen = here.cart_tag(&token).await;
        let mut add = there.add(&token, "basket", 1);
        // Half of the adds name the cart that they change.
        if round % 2 == 0 {
            add = add.header(header::IF_MATCH, &seen);
        }
        let mut buy = here.post("/api/marketplace/checkout", &token, &address());
        if round % 3 != 0 {
            buy = buy.header(header::IF_MATCH, &seen);
        }
        // A third of the checkouts begin a little later: both orders of the two requests occur.
        let later = longest_add.mul_f64(rand::random_range(0.0..1.5));
        let later = if round % 3 == 0 {
            later
        } else {
            Duration::ZERO
        };
        let begun = Instant::now();
        let add = async { (add.send().await, begun.elapsed()) };
        let buy = async {
            tokio::time::sleep(later).await;
            buy.send().await
        };
        let ((added, took), sold) = tokio::join!(add, buy);
        longest_add = longest_add.max(took).min(Duration::from_millis(100));
        let [added, sold] = [answer_of(added).await, answer_of(sold).await];
        let left = in_cart(here, &token, "basket").await;
        let in_order = match sold.0 {
            201 => units_of(&sold.1["lines"], "basket"),
            409 | 412 => {
                refused_checkouts += 1;
                assert_eq!(in_cart(here, &token, "mezcal-cup").await, 1, "{sold:?}");
                0
            }
            _ => panic!("{sold:?}"),
        };
        match added.0 {
            200 => {
                assert_eq!(left + in_order, 1, "{added:?} {sold:?}");
                bought += in_order;
                kept += left;
            }
            409 | 412 => {
                refused_adds += 1;
                assert_eq!((left, in_order), (0, 0), "{added:?} {sold:?}");
            }
            _ => panic!("{added:?}"),
        }
        if sold.0 == 201 {
            let cancel = format!(
                "/api/marketplace/orders/{}/cancel",
                sold.1["id"].as_str().unwrap()
            );
            body(here.post(&cancel, &token, &json!({})), 200).await;
        }
    }
    println!(
        "bought {bought}, kept {kept}, adds refused {refused_adds}, checkouts refused {refused_checkouts}"
    );
    assert_balanced_in(&two.db.pool, database::SCHEMA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_out_of_date_buys_nothing() {
    let open = OpenShop::new().await;
    let client = &open.client;
    for buyer in 1..=50 {
        let token = format!("demo-load-{buyer}");
        client.put_into_cart(&token, "clay-pot", 1).await;
        let seen = client.cart_tag(&token).await;
        // Another tab.
        client.put_into_cart(&token, "mezcal-cup", 1).await;
        let refused = client.buy(&token, &seen).send().await.unwrap();
        let fresh = tag(&refused);
        let refused = body_of(refused, 412).await;
        assert_eq!(refused["code"], "precondition-failed");
        assert_eq!(units_of(&refused["current"]["items"], "mezcal-cup"), 1);
        assert_eq!(refused["current"]["total"]["minor"], 54_500);
        let order = body(client.buy(&token, &fresh), 201).await;
        assert_eq!(order["total"]["minor"], 54_500);
    }
    let orders = "SELECT count(*) FROM storefront.orders";
    assert_eq!(number(&open.db.pool, orders).await, 50);
    open.assert_balanced().await;
}

/// Sends a checkout, and closes the connection when the order is stored, without reading the answer.
async fn buy_and_hang_up(open: &OpenShop, token: &str, tag: &str) {
    let body = address().to_string();
    let mut stream = TcpStream::connect(open.client.host()).unwrap();
    let head = format!(
        "POST /api/marketplace/checkout HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nIf-Match: {tag}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let customer = token.trim_start_matches("demo-");
    let stored = "SELECT count(*) FROM storefront.shop_deliveries WHERE customer = $1";
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stored: i64 = sqlx::query_scalar(stored)
            .bind(customer)
            .fetch_one(&open.db.pool)
            .await
            .unwrap();
        if stored == 1 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "nothing was stored for {customer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_repeated() {
    let open = OpenShop::new().await;
    let client = &open.client;
    for buyer in 1..=50 {
        let token = format!("demo-load-{buyer}");
        client.put_into_cart(&token, "clay-pot", 2).await;
        let seen = client.cart_tag(&token).await;
        buy_and_hang_up(&open, &token, &seen).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let again = client.buy(&token, &seen).send().await.unwrap();
            assert_eq!(again.headers()["idempotent-replayed"], "true");
            let again = body_of(again, 201).await;
            assert_eq!(again["replayed"], true);
            ids.push(again["id"].clone());
        }
        let orders = client.get("/api/marketplace/orders").bearer_auth(&token);
        let orders = body(orders, 200).await;
        assert_eq!(orders.as_array().unwrap().len(), 1);
        assert!(ids.iter().all(|id| *id == orders[0]["id"]), "{ids:?}");
    }
    assert_eq!(client.stock("clay-pot").await, 0);
    open.assert_balanced().await;
}

#[tokio::test]
async fn a_cart_is_changed_from_the_version_that_was_read() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let seen = client.cart_tag(ANA).await;
    let first = client
        .add(ANA, "clay-pot", 1)
        .header(header::IF_MATCH, &seen);
    let first = first.send().await.unwrap();
    let second_tag = tag(&first);
    assert_ne!(second_tag, seen);
    body_of(first, 200).await;
    for stale in [
        client.add(ANA, "rug", 1),
        client
            .request(reqwest::Method::DELETE, "/api/marketplace/cart/items")
            .bearer_auth(ANA),
        client
            .request(
                reqwest::Method::DELETE,
                "/api/marketplace/cart/items/clay-pot",
            )
            .bearer_auth(ANA),
        client.post("/api/marketplace/reservations", ANA, &json!({})),
    ] {
        let refused = stale.header(header::IF_MATCH, &seen).send().await.unwrap();
        assert_eq!(tag(&refused), second_tag);
        let refused = body_of(refused, 412).await;
        assert_eq!(units_of(&refused["current"]["items"], "clay-pot"), 1);
    }
    let nonsense = client.add(ANA, "rug", 1).header(header::IF_MATCH, "2");
    problem(nonsense, 400, "invalid").await;
    let weak = client
        .add(ANA, "rug", 1)
        .header(header::IF_MATCH, format!("W/{second_tag}"));
    problem(weak, 412, "precondition-failed").await;
    assert_eq!(
        client.cart_tag(ANA).await,
        second_tag,
        "nothing was changed"
    );
}

#[tokio::test]
async fn a_cart_that_was_bought_is_not_bought_for_another_address() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 1).await;
    let seen = client.cart_tag(ANA).await;
    let order = body(client.buy(ANA, &seen), 201).await;
    let mut elsewhere = address();
    elsewhere["shipping_address"]["city"] = json!("Puebla");
    let elsewhere = client.post("/api/marketplace/checkout", ANA, &elsewhere);
    let refused = problem(
        elsewhere.header(header::IF_MATCH, &seen),
        409,
        "cart-bought",
    )
    .await;
    assert_eq!(refused["order"], order["id"]);

    // A second key gets the order of the first, and so does its repetition without the version.
    let second = client.buy(ANA, &seen).header("Idempotency-Key", "second");
    assert_eq!(body(second, 201).await["id"], order["id"]);
    let repeated = body(client.checkout(ANA, "second"), 201).await;
    assert_eq!(repeated["id"], order["id"]);
    // The same key for another cart.
    client.put_into_cart(ANA, "basket", 1).await;
    let next = client.cart_tag(ANA).await;
    let reused = client.buy(ANA, &next).header("Idempotency-Key", "second");
    problem(reused, 422, "idempotency-mismatch").await;
    body(client.buy(ANA, &next), 201).await;
    open.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_many_tabs_at_once_make_one_order_of_each_cart() {
    let open = OpenShop::new().await;
    let mut tabs = JoinSet::new();
    for buyer in 1..=20 {
        let token = format!("demo-load-{buyer}");
        open.client.put_into_cart(&token, "clay-pot", 1).await;
        let seen = open.client.cart_tag(&token).await;
        for _ in 0..5 {
            let buy = open.client.buy(&token, &seen);
            tabs.spawn(async move { (buyer, body(buy, 201).await["id"].to_string()) });
        }
    }
    let mut orders = BTreeMap::new();
    for (buyer, id) in tabs.join_all().await {
        assert_eq!(*orders.entry(buyer).or_insert_with(|| id.clone()), id);
    }
    assert_eq!(open.client.stock("clay-pot").await, 80);
    open.assert_balanced().await;
}

/// One request gets the order of a version that was bought, and stores its key; another one with the same key buys the
/// next version at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_used_meanwhile_is_refused() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let mut refused = 0;
    for round in 1..=200 {
        let token = format!("demo-load-{round}");
        client.put_into_cart(&token, "mezcal-cup", 1).await;
        let bought = client.cart_tag(&token).await;
        let first = body(client.buy(&token, &bought), 201).await;
        client.put_into_cart(&token, "basket", 1).await;
        let next = client.cart_tag(&token).await;
        let replay = client.buy(&token, &bought).header("Idempotency-Key", "key");
        let buy = client.buy(&token, &next).header("Idempotency-Key", "key");
        let later = Duration::from_micros(rand::random_range(0..3_000));
        let replay = async {
            tokio::time::sleep(later).await;
            answer_of(replay.send().await).await
        };
        let (replay, bought) = tokio::join!(replay, async { answer_of(buy.send().await).await });
        // The key belongs to one order: the request gets the same answer again.
        let again = client.buy(&token, &next).header("Idempotency-Key", "key");
        let again = answer_of(again.send().await).await;
        let answer = |(status, body): &(u16, Value)| (*status, body["id"].clone());
        assert_eq!(answer(&again), answer(&bought), "{again:?}");
        for answer in [&replay, &bought] {
            match answer.0 {
                201 => {}
                422 => assert_eq!(answer.1["code"], "idempotency-mismatch"),
                _ => panic!("{answer:?}"),
            }
        }
        if bought.0 == 422 {
            refused += 1;
            assert_eq!(
                in_cart(client, &token, "basket").await,
                1,
                "nothing was bought"
            );
        }
        for order in [&first, &bought.1] {
            if let Some(id) = order["id"].as_str() {
                let cancel = format!("/api/marketplace/orders/{id}/cancel");
                body(client.post(&cancel, &token, &json!({})), 200).await;
            }
        }
        if refused > 20 {
            break;
        }
    }
    assert!(refused > 0, "no key was used meanwhile");
    open.assert_balanced().await;
}

#[tokio::test]
async fn a_change_that_changes_nothing_keeps_the_version() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 1).await;
    let seen = client.cart_tag(ANA).await;
    let remove = client.request(reqwest::Method::DELETE, "/api/marketplace/cart/items/rug");
    body(remove.bearer_auth(ANA), 200).await;
    client.put_into_cart(ANA, "clay-pot", 1).await;
    assert_eq!(client.cart_tag(ANA).await, seen);
}
