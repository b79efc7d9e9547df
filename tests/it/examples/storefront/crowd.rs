//! Many shoppers at once, also while the server is killed.

use std::time::{Duration, Instant};

use optilock::{
    inventory::Inventory,
    sqlx::{self, PgPool},
};
use storefront::database;
use tokio::task::JoinSet;

use super::{
    client::{Client, OpenShop},
    process::ShopProcess,
};
use crate::support::db::{Db, assert_balanced_in};

/// Checks out the carts of `buyers`, each with a key of its own. Returns the statuses of the responses.
async fn checkout_all(client: &Client, buyers: u32) -> Vec<Option<u16>> {
    let mut requests = JoinSet::new();
    for buyer in 1..=buyers {
        let client = client.clone();
        requests.spawn(async move {
            let checkout = client.checkout(&format!("demo-load-{buyer}"), &format!("key-{buyer}"));
            let response = checkout.send().await.ok();
            response.map(|response| response.status().as_u16())
        });
    }
    requests.join_all().await
}

async fn fill_carts(client: &Client, buyers: u32) {
    let mut requests = JoinSet::new();
    for buyer in 1..=buyers {
        let client = client.clone();
        requests.spawn(async move {
            let token = format!("demo-load-{buyer}");
            client.put_into_cart(&token, "clay-pot", 1).await;
        });
    }
    requests.join_all().await;
}

fn count(statuses: &[Option<u16>], status: u16) -> usize {
    let equal = statuses.iter().filter(|it| **it == Some(status));
    equal.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_buys_exactly_the_stock() {
    let open = OpenShop::new().await;
    let client = &open.client;
    fill_carts(client, 256).await;
    let statuses = checkout_all(client, 256).await;
    let counts = (count(&statuses, 201), count(&statuses, 400));
    assert_eq!(counts, (100, 156), "{statuses:?}");
    assert_eq!(client.stock("clay-pot").await, 0);
    assert!(open.shop.inventory.audit().await.unwrap().is_clean());
    open.assert_balanced().await;
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_sells_nothing_twice() {
    let db = Db::empty().await;
    let first = ShopProcess::start(db.database.url());
    fill_carts(&first.client, 256).await;
    let (client, pool) = (first.client.clone(), db.pool.clone());
    let checkouts = tokio::spawn(async move { checkout_all(&client, 256).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while number(&pool, "SELECT count(*) FROM storefront.orders").await < 10 {
        assert!(Instant::now() < deadline, "nothing is sold");
    }
    drop(first);
    let before = checkouts.await.unwrap();
    let second = ShopProcess::start(db.database.url());
    let statuses = checkout_all(&second.client, 256).await;
    let counts = (count(&statuses, 201), count(&statuses, 400));
    assert_eq!(counts, (100, 156), "{statuses:?}");
    assert!(count(&before, 201) <= 100, "{before:?}");
    assert_eq!(second.client.stock("clay-pot").await, 0);
    let orders = "SELECT count(*) FROM storefront.orders WHERE status = 0";
    assert_eq!(number(&pool, orders).await, 100);
    let keys = "SELECT count(*) FROM storefront.shop_checkout_keys";
    assert_eq!(number(&pool, keys).await, 100);
    let left = "SELECT count(*) FROM storefront.shop_carts WHERE items <> '[]'";
    assert_eq!(number(&pool, left).await, 156);
    assert_balanced_in(&pool, database::SCHEMA).await;
}
