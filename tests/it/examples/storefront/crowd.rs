//! Many shoppers at once, also while the server is killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use optilock::{
    inventory::Inventory,
    sqlx::{self, PgPool},
};
use storefront::App;
use tokio::{sync::watch, task::JoinSet};

use super::client::{Client, OpenShop, serve};
use crate::support::db::{Db, assert_balanced, pool_options};

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
    assert_balanced(&open.db.pool).await;
}

const DATABASE: &str = "STOREFRONT_TEST_DATABASE";

/// The process that [`a_killed_server_sells_nothing_twice`] kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is killed"]
async fn serves_until_it_is_killed() {
    let url = std::env::var(DATABASE).expect("the URL of a database");
    let pool = pool_options(16).connect(&url).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let shop = App::open(pool, stopped).await.unwrap();
    println!("serving at {}", serve(&shop).await);
    std::future::pending::<()>().await;
}

/// A server in a process of its own, which is killed on drop.
struct KillableServer {
    process: Child,
    client: Client,
}

impl KillableServer {
    fn start(database: &str) -> Self {
        // Test names do not begin with the name of the crate.
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::serves_until_it_is_killed");
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([&*test, "--exact", "--ignored", "--nocapture"])
            .env(DATABASE, database)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("serving at ")
                .map(|(_, url)| url.to_owned())
        });
        let client = Client::new(url.expect("the server prints its URL"));
        Self { process, client }
    }
}

impl Drop for KillableServer {
    fn drop(&mut self) {
        // SIGKILL.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_sells_nothing_twice() {
    let db = Db::new().await;
    let first = KillableServer::start(db.database.url());
    fill_carts(&first.client, 256).await;
    let (client, pool) = (first.client.clone(), db.pool.clone());
    let checkouts = tokio::spawn(async move { checkout_all(&client, 256).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while number(&pool, "SELECT count(*) FROM optilock.orders").await < 10 {
        assert!(Instant::now() < deadline, "nothing is sold");
    }
    drop(first);
    let before = checkouts.await.unwrap();
    let second = KillableServer::start(db.database.url());
    let statuses = checkout_all(&second.client, 256).await;
    let counts = (count(&statuses, 201), count(&statuses, 400));
    assert_eq!(counts, (100, 156), "{statuses:?}");
    assert!(count(&before, 201) <= 100, "{before:?}");
    assert_eq!(second.client.stock("clay-pot").await, 0);
    let orders = "SELECT count(*) FROM optilock.orders WHERE status = 0";
    assert_eq!(number(&pool, orders).await, 100);
    let keys = "SELECT count(DISTINCT idempotency_key) FROM storefront.deliveries";
    assert_eq!(number(&pool, keys).await, 100);
    let left = "SELECT count(*) FROM storefront.cart_items";
    assert_eq!(number(&pool, left).await, 156);
    assert_balanced(&pool).await;
}
