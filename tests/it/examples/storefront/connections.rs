//! Connections, bodies and requests that would use up the shop.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{body::Body, http::Request};
use optilock::sqlx;
use reqwest::header;
use serde_json::json;
use storefront::router;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::client::{ANA, OpenShop, address, body, problem};

/// Opens connections that send a part of a head.
fn half_open(host: &str, number: usize) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: sh").unwrap();
        stream
    };
    (0..number).map(open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_keep_nobody_out_and_do_not_delay_the_end() {
    let mut open = OpenShop::new().await;
    let host = open.client.host().to_owned();
    let connections = tokio::task::spawn_blocking(move || half_open(&host, 2_000));
    let connections = connections.await.unwrap();
    let begin = Instant::now();
    // A client of its own has no connection yet.
    let shopper = super::client::Client::new(format!("http://{}", open.client.host()));
    body(shopper.cart(ANA), 200).await;
    let served = begin.elapsed();
    assert!(served < Duration::from_secs(1), "{served:?}");

    let begin = Instant::now();
    open.stop.send_replace(true);
    (&mut open.serving).await.unwrap().unwrap();
    let ended = begin.elapsed();
    assert!(ended < Duration::from_secs(2), "{ended:?}");
    println!("served in {served:?}, ended in {ended:?}");
    drop(connections);
}

/// Sends requests and reads no answer. Returns how long the server kept the connection.
#[cfg(target_os = "linux")]
fn read_nothing(host: &str) -> Duration {
    let mut stream = TcpStream::connect(host).unwrap();
    let wait = Duration::from_millis(500);
    stream.set_write_timeout(Some(wait)).unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n".repeat(100);
    let begin = Instant::now();
    // The buffers of both sides are full at some time: the server waits for the client, and reads no more requests.
    while begin.elapsed() < Duration::from_secs(90) {
        match stream.write(&request) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(closed) => {
                let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(kinds.contains(&closed.kind()), "{closed}");
                return begin.elapsed();
            }
        }
    }
    panic!("the connection is open after {:?}", begin.elapsed());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_connection() {
    let open = OpenShop::new().await;
    let host = open.client.host().to_owned();
    let kept = tokio::task::spawn_blocking(move || read_nothing(&host));
    println!("closed after {:?}", kept.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_while_the_shop_ends() {
    let mut open = OpenShop::new().await;
    let host = open.client.host().to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    let body = address().to_string();
    let head = format!(
        "POST /api/marketplace/checkout HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {ANA}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    crate::support::db::eventually("the request is running", async || open.shop.running() == 1)
        .await;
    open.stop.send_replace(true);
    stream.write_all(body.as_bytes()).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("empty-cart") && answer.ends_with('}'),
        "{answer}"
    );
    (&mut open.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_does_not_delay_the_end() {
    let mut open = OpenShop::new().await;
    let mut stream = TcpStream::connect(open.client.host()).unwrap();
    let head = format!(
        "POST /api/marketplace/checkout HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {ANA}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    crate::support::db::eventually("the request is running", async || open.shop.running() == 1)
        .await;
    let begin = Instant::now();
    open.stop.send_replace(true);
    (&mut open.serving).await.unwrap().unwrap();
    let ended = begin.elapsed();
    assert!(ended < Duration::from_secs(2), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_refused() {
    let open = OpenShop::new().await;
    let mut stream = TcpStream::connect(open.client.host()).unwrap();
    let head = format!(
        "POST /api/marketplace/checkout HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {ANA}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = [0; 4_096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(!answer.to_lowercase().contains("retry-after"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_invents_is_no_label() {
    let open = OpenShop::new().await;
    let router = router(Arc::clone(&open.shop));
    // The series of requests that no route and no known method has; other tests of this process have series, too.
    let metrics = async || {
        let metrics = open.client.get("/metrics").send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(!metrics.contains("X1999"), "{metrics}");
        let invented = |line: &&str| line.contains("\"other\"") || line.contains("\"none\"");
        metrics.lines().filter(invented).count()
    };
    let request = |number: usize| {
        let invented = format!("X{number}");
        let (method, path, host) = match number % 4 {
            0 => (&*invented, "/".to_owned(), "shop"),
            1 => ("GET", format!("/api/{invented}"), "shop"),
            2 => ("GET", "/healthz".to_owned(), &*invented),
            _ => (&*invented, "/api/marketplace/cart/items".to_owned(), "shop"),
        };
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header("Idempotency-Key", &invented)
            .header(header::AUTHORIZATION, format!("Bearer {invented}"))
            .body(Body::empty())
            .unwrap()
    };
    let before = metrics().await;
    for number in 0..20_000 {
        router.clone().oneshot(request(number)).await.unwrap();
    }
    let grown = metrics().await - before;
    println!("{grown} lines more");
    assert!(grown < 50, "{grown} lines more");
}

/// Sends requests at once and returns the statuses of their answers.
async fn statuses(open: &OpenShop, path: &str, token: Option<&str>, count: usize) -> Vec<u16> {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let request = open.client.get(path);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        requests.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_limited_by_user_or_address() {
    const REQUESTS: usize = 2_000;
    let open = OpenShop::new().await;
    for (path, token, per_second) in [
        ("/api/marketplace/cart/items", Some("guess"), 300.0),
        ("/api/marketplace/products", None, 300.0),
        ("/api/marketplace/products", Some("demo-load-1"), 100.0),
        ("/api/nothing", None, 300.0),
        ("/readyz", None, 300.0),
    ] {
        // A busy machine may send so slowly that none is refused.
        let mut refused = 0;
        for _ in 0..5 {
            let begin = Instant::now();
            let statuses = statuses(&open, path, token, REQUESTS).await;
            let served = statuses.iter().filter(|status| **status != 429).count();
            // What is allowed at once, and what is allowed during the requests.
            let allowed = per_second * (1.0 + begin.elapsed().as_secs_f64()) + 1.0;
            assert!(
                served as f64 <= allowed,
                "{path}: {served} of {REQUESTS}, allowed {allowed}"
            );
            refused += statuses.len() - served;
            if refused > 0 {
                break;
            }
        }
        assert!(refused > 0, "{path}: all requests were served");
    }
    // A user is not limited by those of its address.
    body(open.client.cart(ANA), 200).await;
}

#[tokio::test]
async fn headers_of_the_caller_are_checked() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "clay-pot", 1).await;
    let twice = client.checkout(ANA, "one").header("Idempotency-Key", "two");
    problem(twice, 400, "invalid").await;
    for (sent, comes_back) in [("caller-1", true), ("a b", false), ("", false)] {
        let request = client.cart(ANA).header("X-Request-Id", sent);
        let answer = request.send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(id == sent, comes_back, "{id}");
    }
    assert_eq!(client.stock("clay-pot").await, 100);
}

#[tokio::test]
async fn an_address_is_one_that_a_parcel_finds() {
    let open = OpenShop::new().await;
    let client = &open.client;
    for (field, value) in [
        ("name", "\u{200b}\u{200b}"),
        ("country", "ZZ"),
        ("street", "..."),
    ] {
        let mut wrong = address();
        wrong["shipping_address"][field] = json!(value);
        let checkout = client.post("/api/marketplace/checkout", ANA, &wrong);
        let refused = problem(checkout, 400, "invalid").await;
        assert_eq!(
            refused["errors"][0]["field"],
            json!(format!("shipping_address.{field}"))
        );
    }
}

#[tokio::test]
async fn a_reservation_ends_within_an_hour_whatever_extends_it() {
    let open = OpenShop::new().await;
    let client = &open.client;
    client.put_into_cart(ANA, "rug", 1).await;
    let seconds = |seconds: u32| json!({ "seconds": seconds });
    let reserve = client.post("/api/marketplace/reservations", ANA, &seconds(600));
    let reservation = body(reserve, 201).await;
    let id = reservation["id"].as_str().unwrap();
    let path = format!("/api/marketplace/reservations/{id}/extend");
    body(client.post(&path, ANA, &seconds(900)), 200).await;
    // It was made some minutes ago.
    let aged = "UPDATE storefront.reservations SET created_at = created_at - interval '40 minutes'";
    sqlx::query(aged).execute(&open.db.pool).await.unwrap();
    problem(client.post(&path, ANA, &seconds(1_300)), 400, "invalid").await;
    body(client.post(&path, ANA, &seconds(1_000)), 200).await;
    let held = client.get(&format!("/api/marketplace/reservations/{id}"));
    let held = body(held.bearer_auth(ANA), 200).await;
    assert_eq!(held["holds"][0]["state"], "held", "{held}");
    open.assert_balanced().await;
}

#[tokio::test]
async fn a_file_is_sent_once_and_compressed() {
    let open = OpenShop::new().await;
    let client = &open.client;
    for path in ["/", "/dashboard", "/assets/shop.js", "/assets/base.css"] {
        let gzip = client.get(path).header(header::ACCEPT_ENCODING, "gzip");
        let response = gzip.send().await.unwrap();
        assert_eq!(
            response.headers()[header::CONTENT_ENCODING],
            "gzip",
            "{path}"
        );
        let tag = response.headers()[header::ETAG].clone();
        let again = client.get(path).header(header::IF_NONE_MATCH, &tag);
        assert_eq!(again.send().await.unwrap().status(), 304, "{path}");
    }
    problem(client.get("/assets/../lib.rs"), 404, "not-found").await;
    problem(client.get("/assets/%2e%2e%2flib.rs"), 404, "not-found").await;
}
