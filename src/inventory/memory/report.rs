//! The report on the data in memory.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use super::{
    cleanup::UNPAID,
    clock::{is_older, now},
    store::Store,
};
use crate::inventory::model::{
    BestSeller, ContendedProduct, Order, OrderStatus, Report, Sku, UnpaidOrder, rates::Rates,
    report::Counts,
};

impl Store {
    pub(super) fn report(&self, window: Duration, rates: &Rates) -> Report {
        let now = now();
        let mut unpaid: Vec<_> = self
            .orders
            .values()
            .filter(|stored| UNPAID.contains(&stored.order.status))
            .filter(|stored| is_older(stored.pending_since, Report::UNPAID_AFTER, now))
            .collect();
        unpaid.sort_by_key(|stored| (stored.pending_since, stored.order.id));
        let orders = self.orders.values().map(|stored| &stored.order);
        let recent: Vec<&Order> = orders
            .filter(|order| !is_older(order.created_at, window, now))
            .collect();
        let failed = recent.iter().filter(|order| {
            matches!(
                order.status,
                OrderStatus::PaymentFailed | OrderStatus::Cancelled
            )
        });
        let counts = Counts {
            negative_stock: 0, // a `Stock` is never negative here
            unpaid: unpaid.len() as u64,
            orders: recent.len() as u64,
            failed: failed.count() as u64,
        };
        let mut report = Report::of(now, window, counts, rates);
        let unpaid = unpaid.into_iter().take(Report::ROWS);
        report.unpaid = unpaid
            .map(|stored| {
                UnpaidOrder::new(stored.order.id, stored.pending_since, stored.order.total)
            })
            .collect();
        report.best_sellers = best_sellers(&recent);
        report.contended = self.contended();
        report
    }

    fn contended(&self) -> Vec<ContendedProduct> {
        let products = self.products.values().map(|stored| &stored.product);
        let mut contended: Vec<_> = products
            .filter(|product| product.version > Report::CONTENDED_ABOVE)
            .map(|product| ContendedProduct::new(product.sku.clone(), product.version))
            .collect();
        contended.sort_by_key(|product| Reverse(product.version));
        contended.truncate(Report::ROWS);
        contended
    }
}

fn best_sellers(orders: &[&Order]) -> Vec<BestSeller> {
    let mut sold: BTreeMap<&Sku, (i64, i64)> = BTreeMap::new();
    let orders = orders.iter();
    let orders = orders.filter(|order| order.status != OrderStatus::Cancelled);
    for line in orders.flat_map(|order| &order.lines) {
        let (units, orders) = sold.entry(&line.sku).or_default();
        *units += line.quantity.get() - line.returned;
        *orders += 1;
    }
    let mut sold: Vec<_> = sold
        .into_iter()
        .map(|(sku, (units, orders))| BestSeller::new(sku.clone(), units, orders))
        .collect();
    sold.sort_by_key(|seller| Reverse(seller.units));
    sold.truncate(Report::ROWS);
    sold
}
