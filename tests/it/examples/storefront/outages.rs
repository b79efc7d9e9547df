//! The database stops, freezes, or is killed. The shop says so within five seconds, and recovers
//! without a restart.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use optilock::sqlx;
use serde_json::{Value, json};
use support::{Crash, Durability, Server, Source};

use super::client::{ADMIN, ANA, OpenShop, body};
use crate::support::db::{self, Db, pool_options};

/// The longest time until the shop tells the truth.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Outage {
    Stopped,
    Killed,
    Frozen,
}

/// Sends a signal to the server and all of its sessions.
fn signal(directory: &str, name: &str) {
    let file = fs::read_to_string(format!("{directory}/postmaster.pid")).unwrap();
    let postmaster = file.lines().next().unwrap();
    let command = format!("kill -{name} {postmaster} $(pgrep -P {postmaster})");
    let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(sent.success(), "this test needs pgrep");
}

/// Waits until the statuses of `/readyz` and of a page of products are these.
async fn until_answered(open: &OpenShop, statuses: (u16, u16), outage: Outage) -> Duration {
    let begin = Instant::now();
    loop {
        let status = async |path| {
            let response = open.client.get(path).send().await.unwrap();
            response.status().as_u16()
        };
        let (ready, products) =
            tokio::join!(status("/readyz"), status("/api/marketplace/products"));
        if (ready, products) == statuses {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < LIMIT, "{outage:?}: {ready}, {products}");
    }
}

/// Returns the time of the next tick of the dashboard, if one comes within two seconds.
async fn next_tick(open: &OpenShop) -> Option<String> {
    let events = open.client.get("/api/dashboard/events").bearer_auth(ADMIN);
    let mut events = events.send().await.unwrap();
    let chunk = tokio::time::timeout(Duration::from_secs(2), events.chunk()).await;
    let chunk = String::from_utf8(chunk.ok()?.unwrap()?.to_vec()).unwrap();
    let data = chunk.split_once("data: ")?.1.lines().next()?.to_owned();
    let tick: Value = serde_json::from_str(&data).unwrap();
    tick["at"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_tells_the_truth_and_recovers() {
    if db::server().source() == Source::Url {
        return; // a server named by the caller is not killed
    }
    let start = || Server::find_or_start(Durability::Fast).expect("a server of its own");
    let mut server = tokio::task::block_in_place(start);
    let database = server.create_database("outage").await.expect("a database");
    let pool = pool_options(8)
        .connect_with(database.options())
        .await
        .unwrap();
    let open = OpenShop::on(Db { pool, database }).await;
    let directory: String = sqlx::query_scalar("SHOW data_directory")
        .fetch_one(&open.db.pool)
        .await
        .unwrap();
    for outage in [Outage::Stopped, Outage::Killed, Outage::Frozen] {
        until_answered(&open, (200, 200), outage).await;
        match outage {
            Outage::Stopped => tokio::task::block_in_place(|| server.crash(Crash::Quit)).unwrap(),
            Outage::Killed => tokio::task::block_in_place(|| server.crash(Crash::Kill)).unwrap(),
            Outage::Frozen => signal(&directory, "STOP"),
        }
        let noticed = until_answered(&open, (503, 503), outage).await;
        let last = next_tick(&open).await;
        assert_eq!(next_tick(&open).await, last, "{outage:?}: a new tick");
        match outage {
            Outage::Stopped | Outage::Killed => {
                tokio::task::block_in_place(|| server.restart()).unwrap();
            }
            Outage::Frozen => signal(&directory, "CONT"),
        }
        let recovered = until_answered(&open, (200, 200), outage).await;
        println!("{outage:?}: noticed after {noticed:.1?}, recovered after {recovered:.1?}");
        let begin = Instant::now();
        while next_tick(&open).await == last {
            assert!(begin.elapsed() < LIMIT, "{outage:?}: no new tick");
        }
        open.client.put_into_cart(ANA, "basket", 1).await;
        let tag = open.client.cart_tag(ANA).await;
        let order = body(open.client.buy(ANA, &tag), 201).await;
        let path = format!(
            "/api/marketplace/orders/{}/pay",
            order["id"].as_str().unwrap()
        );
        body(open.client.post(&path, ANA, &json!({})), 200).await;
    }
    open.assert_balanced().await;
}
