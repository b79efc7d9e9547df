//! The dashboard and its race.

use serde_json::{Value, json};

use super::client::{ADMIN, OpenShop, body};
use crate::support::goods::add;

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
    open.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_end_with_the_shop_and_hide_the_prize_of_a_race() {
    let open = OpenShop::new().await;
    let client = &open.client;
    add(&open.shop.inventory, "race-prize", 1).await;
    let list = body(client.get("/api/marketplace/products"), 200).await;
    let list = list.to_string();
    assert!(list.contains("rug") && !list.contains("race-"), "{list}");
    let events = client.get("/api/dashboard/events").bearer_auth(ADMIN);
    let mut events = events.send().await.unwrap();
    // The first tick may be older than the prize.
    for _ in 0..2 {
        let tick = events.chunk().await.unwrap().unwrap();
        let tick = String::from_utf8(tick.to_vec()).unwrap();
        assert!(tick.starts_with("event: tick\ndata: {"), "{tick}");
        assert!(tick.contains("rug") && !tick.contains("race-"), "{tick}");
    }
    open.stop.send_replace(true);
    while events.chunk().await.unwrap().is_some() {}
    assert_eq!(client.get("/readyz").send().await.unwrap().status(), 503);
    open.assert_balanced().await;
}
