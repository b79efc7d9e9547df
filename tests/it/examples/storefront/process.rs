//! A storefront in a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use storefront::{App, Settings};
use tokio::sync::watch;

use super::client::{Client, serve};
use crate::support::db::pool_options;

const DATABASE: &str = "STOREFRONT_TEST_DATABASE";

/// What a [`ShopProcess`] runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is killed"]
async fn serves_until_it_is_killed() {
    let url = std::env::var(DATABASE).expect("the URL of a database");
    let pool = pool_options(16).connect(&url).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let shop = App::open(pool, Settings::default(), stopped).await.unwrap();
    println!("serving at {}", serve(&shop).0);
    std::future::pending::<()>().await;
}

/// A storefront in a process of its own, which is killed on drop.
pub struct ShopProcess {
    process: Child,
    pub client: Client,
}

impl ShopProcess {
    pub fn start(database: &str) -> Self {
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

impl Drop for ShopProcess {
    fn drop(&mut self) {
        // SIGKILL.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
