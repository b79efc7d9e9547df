//! The race: more buyers than units, one checkout each. Shows which methods oversell.

use indicatif::ProgressBar;
use optilock::inventory::{Sku, Stock};

use crate::{buyers, error::BoxError, method::Method, report::Raced, seller::Deal, shop::Shop};

pub(crate) async fn run(
    shop: &Shop,
    methods: &[Method],
    buyers: u32,
    stock: Stock,
    bar: &ProgressBar,
) -> Result<Vec<Raced>, BoxError> {
    bar.set_length(methods.len() as u64);
    let mut rows = Vec::new();
    for &method in methods {
        bar.set_message(format!("race: {method}"));
        rows.push(run_method(shop, method, buyers, stock).await?);
        bar.inc(1);
    }
    Ok(rows)
}

async fn run_method(
    shop: &Shop,
    method: Method,
    buyers: u32,
    stock: Stock,
) -> Result<Raced, BoxError> {
    // Warms up on another product: a connection that has not prepared the statements starts late.
    let warmup = Sku::new(format!("race-warmup-{method:?}"))?;
    shop.add_product(method, &warmup, Stock::new(buyers.into())?)
        .await?;
    buyers::buy_once(&shop.seller(method), &warmup, buyers).await?;

    let sku = Sku::new(format!("race-{method:?}"))?;
    shop.add_product(method, &sku, stock).await?;
    let seller = shop.seller(method);
    let tally = buyers::buy_once(&seller, &sku, buyers).await?;
    let counters = seller.counters();
    let sold = shop.sold(method, Deal::Checkout, &[sku]).await?;
    Ok(Raced {
        strategy: method,
        buyers,
        stock: stock.get(),
        sold,
        oversold: (sold - stock.get()).max(0),
        refused: tally.refused,
        conflicts: counters.conflicts,
        attempts_max: counters.attempts_max,
        escaped: tally.escaped,
        acknowledged: tally.sales.len(),
    })
}
