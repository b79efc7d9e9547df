//! A client process: buyers of one inventory, or the keeper of the shop. It ends when its standard input does.

mod buyer;
mod journal;
mod keeper;
mod send;
mod shop;

use std::io::Read;

use rand::{SeedableRng, rngs::StdRng};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    BoxError,
    options::{Client, Settings},
};
use buyer::Buyer;
use journal::Journal;
use shop::Shop;

/// Runs until the standard input ends, then finishes the calls that are open.
pub(crate) async fn run(client: Client) -> Result<(), BoxError> {
    let stopped = stop_signal();
    match client {
        Client::Buy(settings) => buy(&settings, stopped).await,
        Client::Keep(settings) => keeper::keep(&settings, stopped).await,
    }
}

async fn buy(settings: &Settings, stopped: watch::Receiver<bool>) -> Result<(), BoxError> {
    let shop = Shop::open(&settings.url, settings.number, settings.seed)?;
    let journal = Journal::new();
    let mut buyers = JoinSet::new();
    for number in 0..settings.buyers {
        let random = StdRng::seed_from_u64(settings.seed.wrapping_add(u64::from(number)));
        let mut buyer = Buyer::new(shop.clone(), journal.clone(), random);
        let stopped = stopped.clone();
        buyers.spawn(async move {
            while !*stopped.borrow() {
                buyer.step().await;
            }
        });
    }
    // A panic of a buyer ends the process, which the supervisor counts as a violation.
    while let Some(ended) = buyers.join_next().await {
        ended?;
    }
    shop.close().await;
    Ok(())
}

/// Returns a flag that is set when the standard input ends: the supervisor closed it, or ended itself.
fn stop_signal() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // An error of the pipe is its end.
        let _ = std::io::stdin().read_to_end(&mut rest);
        stop.send_replace(true);
    });
    stopped
}
