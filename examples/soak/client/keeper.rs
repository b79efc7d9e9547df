//! The keeper of the shop: delivers goods, edits, pauses and resumes products, cleans up, and reads the outbox.

use std::time::Duration;

use optilock::{
    RetryPolicy,
    inventory::{Inventory, Janitor, Money, OutboxPosition, PgInventory},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use super::{
    buyer::send_noted,
    journal::Journal,
    shop::{POLICY, Shop},
};
use crate::{
    BoxError,
    goods::{PRODUCTS, sku},
    options::Settings,
    request::Request,
};

/// The age at which an unpaid order is cancelled.
const UNPAID_AFTER: Duration = Duration::from_secs(4);

/// The pause between two rounds of the keeper.
const PAUSE: Duration = Duration::from_millis(40);

pub(super) async fn keep(
    settings: &Settings,
    stopped: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let shop = Shop::open(&settings.url, 0, settings.seed)?;
    let policy: RetryPolicy = POLICY;
    let inventory = PgInventory::new(shop.pool.clone())
        .with_policy(policy)
        .with_outbox();
    let janitor = Janitor::new(inventory.clone())
        .with_interval(Duration::from_secs(1))
        .with_unpaid_after(UNPAID_AFTER);
    let mut until = stopped.clone();
    let cleaning = tokio::spawn(async move {
        janitor
            .run(async move {
                // An error means that the sender is gone, which ends the process as well.
                let _ = until.wait_for(|stopped| *stopped).await;
            })
            .await;
    });
    let journal = Journal::new();
    let mut random = StdRng::seed_from_u64(settings.seed);
    while !*stopped.borrow() {
        sleep(PAUSE).await;
        let name = PRODUCTS.choose(&mut random).expect("not empty");
        let delivery = Request::Adjust {
            token: Uuid::now_v7().as_u128(),
            line: ((*name).to_owned(), random.random_range(1..=100)),
        };
        send_noted(&shop, &journal, &delivery, None).await;
        // Faults refuse these at times: they have no effect that the rows would not show.
        let _ = manage(&inventory, name, &mut random).await;
        let _ = read_outbox(&inventory, &journal).await;
    }
    cleaning.await?;
    shop.close().await;
    Ok(())
}

/// Edits, pauses, resumes or counts a product, now and then.
async fn manage(
    inventory: &PgInventory,
    name: &str,
    random: &mut StdRng,
) -> Result<(), optilock::inventory::Error> {
    let sku = sku(name)?;
    match random.random_range(0..20) {
        0 => {
            let mut product = inventory.product(&sku).await?;
            product.price = Money::new(random.random_range(100..100_000), "MXN".parse()?)?;
            inventory.update_product(&product).await?;
        }
        1 => {
            inventory.pause(&sku).await?;
        }
        // Without it products would stay paused.
        2..6 => {
            for name in PRODUCTS {
                inventory.resume(&crate::goods::sku(name)?).await?;
            }
        }
        6 => {
            let product = inventory.product(&sku).await?;
            let counted = product.stock;
            inventory
                .count_stock(&sku, product.version, counted, "count")
                .await?;
        }
        _ => {}
    }
    Ok(())
}

/// Tells which orders the outbox shows, and then acknowledges them.
async fn read_outbox(
    inventory: &PgInventory,
    journal: &Journal,
) -> Result<(), optilock::inventory::Error> {
    let page = inventory.outbox_since(&OutboxPosition::START, 500).await?;
    if !page.entries.is_empty() {
        let orders = page.entries.iter();
        journal.delivered(
            orders
                .map(|entry| entry.order.id.uuid().as_u128())
                .collect(),
        );
        inventory.acknowledge_outbox(&page.next).await?;
    }
    Ok(())
}
