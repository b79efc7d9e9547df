//! Many buyers, few units, one each: who sells more than there is?

use indicatif::ProgressBar;
use optilock::inventory::{Sku, Stock};

use crate::{contender::Contender, crowd, fault::Fault, report::Raced, shop::Shop};

pub(crate) async fn run(
    shop: &Shop,
    contenders: &[Contender],
    buyers: u32,
    stock: Stock,
    bar: &ProgressBar,
) -> Result<Vec<Raced>, Fault> {
    bar.set_length(contenders.len() as u64);
    let mut rows = Vec::new();
    for &contender in contenders {
        bar.set_message(format!("race: {contender}"));
        rows.push(heat(shop, contender, buyers, stock).await?);
        bar.inc(1);
    }
    Ok(rows)
}

async fn heat(
    shop: &Shop,
    contender: Contender,
    buyers: u32,
    stock: Stock,
) -> Result<Raced, Fault> {
    // One round on another shelf first: connections that never saw the statements would start late.
    let practice = Sku::new(format!("race-practice-{contender:?}"))?;
    shop.add_product(contender, &practice, Stock::new(buyers.into())?)
        .await?;
    crowd::once(&shop.seller(contender), &practice, buyers).await?;

    let sku = Sku::new(format!("race-{contender:?}"))?;
    shop.add_product(contender, &sku, stock).await?;
    let seller = shop.seller(contender);
    let outcome = crowd::once(&seller, &sku, buyers).await?;
    let effort = seller.effort();
    let sold = shop.sold(contender, &[sku]).await?;
    Ok(Raced {
        strategy: contender,
        buyers,
        stock: stock.get(),
        sold,
        oversold: (sold - stock.get()).max(0),
        refused: outcome.refused,
        conflicts: effort.conflicts,
        attempts_max: effort.attempts_max,
        escaped: outcome.escaped,
        acknowledged: outcome.sales.len(),
    })
}
