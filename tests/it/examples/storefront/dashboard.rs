//! The dashboard and its race.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use storefront::router;
use tower::ServiceExt;

use super::client::{ADMIN, OpenShop, body};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_naive_code_of_a_race_oversells() {
    let open = OpenShop::new().await;
    let race = json!({ "buyers": 60, "units": null });
    let race = open.client.post("/api/race", ADMIN, &race);
    let events = race.send().await.unwrap().text().await.unwrap();
    assert_eq!(events.matches("event: answer").count(), 120, "{events}");
    let (_, end) = events.split_once("event: end\ndata: ").unwrap();
    let end: Value = serde_json::from_str(end.lines().next().unwrap()).unwrap();
    assert_eq!(end["optilock"]["sold"], 10);
    assert_eq!(end["optilock"]["stock_after"], 0);
    let naive = end["naive"]["sold"].as_i64().unwrap();
    assert_eq!(end["naive"]["stock_after"], json!(10 - naive));
    // What a race sells is no figure of the shop.
    let report = open.client.get("/api/report").bearer_auth(ADMIN);
    let report = body(report, 200).await;
    assert_eq!(report["best_sellers"], json!([]), "{report}");
    let products = body(open.client.get("/api/marketplace/products"), 200).await;
    assert!(!products.to_string().contains("race-"), "{products}");
    open.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_end_with_the_shop() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let events = client.get("/api/dashboard/events").bearer_auth(ADMIN);
    let mut events = events.send().await.unwrap();
    let tick = events.chunk().await.unwrap().unwrap();
    let tick = String::from_utf8(tick.to_vec()).unwrap();
    assert!(tick.starts_with("event: tick\ndata: {"), "{tick}");
    assert!(tick.contains("rug"), "{tick}");
    open.stop.send_replace(true);
    while events.chunk().await.unwrap().is_some() {}
    let ready = Request::get("/readyz").body(Body::empty()).unwrap();
    let ready = router(Arc::clone(&open.shop)).oneshot(ready).await.unwrap();
    assert_eq!(ready.status(), 503);
    open.assert_balanced().await;
}
