//! A random mix of all operations of a sale, for information.

use std::{sync::Arc, time::Duration};

use optilock::inventory::{Error, Inventory, Quantity, Reserve, ReturnRequest, Sku};
use rand::{random_bool, random_range};

use super::{
    bench::{BATCHED, Bench, ONE_BY_ONE},
    comparison::{Candidate, Comparison},
    options::Options,
    seller::cart,
    table::Bars,
};

const TITLE: &str = "256 callers, 10 products, random sales: operations";

pub(super) fn measure(bench: &Bench, options: &Options) -> Bars {
    let inventories: [(_, Arc<dyn Inventory>); 2] = [
        (ONE_BY_ONE, Arc::new(bench.plain.clone())),
        (BATCHED, Arc::new(bench.batched.clone())),
    ];
    let candidates = inventories.map(|(name, inventory)| {
        let products = (0..10).map(|number| bench.product(&format!("{name}-{number}")));
        let skus: Arc<[Sku]> = products.collect();
        Candidate::new(name, move |window| {
            let (inventory, skus) = (Arc::clone(&inventory), Arc::clone(&skus));
            bench.turn(256, window, move || {
                let sku = skus[random_range(0..skus.len())].clone();
                let inventory = Arc::clone(&inventory);
                async move {
                    let operations = sell(&*inventory, &sku).await;
                    operations.expect("there is stock, and no other task changes the order")
                }
            })
        })
    });
    let comparison = Comparison::measure(options, TITLE, candidates.into());
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, BATCHED, ONE_BY_ONE, None);
    bars
}

/// Makes a sale with random turns. Returns the number of its operations.
async fn sell(shop: &dyn Inventory, sku: &Sku) -> Result<u64, Error> {
    let one = || [(sku.clone(), Quantity::ONE)];
    let mut operations = 1;
    let mut cart = cart(sku);
    if random_bool(0.5) {
        let reservation = shop.reserve(Reserve::new(one())?).await?.id;
        operations += 1;
        if random_bool(0.2) {
            let hour = Duration::from_secs(3_600);
            shop.extend(reservation, hour).await?;
            operations += 1;
        }
        if random_bool(0.2) {
            shop.release(reservation).await?;
            return Ok(operations);
        }
        cart = cart.with_reservation(reservation);
    }
    let order = shop.checkout(cart).await?.id;
    if random_bool(0.1) {
        shop.mark_payment_failed(order).await?;
        operations += 1;
    }
    if random_bool(0.2) {
        shop.cancel(order, "changed their mind").await?;
        operations += 1;
        if random_bool(0.8) {
            return Ok(operations);
        }
        shop.revive(order).await?;
        operations += 1;
    }
    shop.mark_paid(order).await?;
    operations += 1;
    if random_bool(0.1) {
        let request = ReturnRequest::new(order, one(), "arrived broken")?;
        shop.return_items(request).await?;
        operations += 1;
    }
    Ok(operations)
}
