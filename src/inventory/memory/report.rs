//! What a report tells of the shop in memory.

use std::{collections::BTreeMap, time::Duration};

use super::shop::{Shop, is_older, now};
use crate::inventory::{
    model::rates::Rates,
    model::{BestSeller, ContendedProduct, OrderStatus, Report, Sku, UnpaidOrder, report::Counts},
};

impl Shop {
    pub(super) fn report(&self, window: Duration, rates: &Rates) -> Report {
        let now = now();
        let unpaid = |status| super::UNPAID.contains(&status);
        let mut waiting: Vec<_> = self
            .orders
            .values()
            .filter(|kept| unpaid(kept.order.status))
            .filter(|kept| is_older(kept.pending_since, Report::UNPAID_AFTER, now))
            .collect();
        waiting.sort_by_key(|kept| (kept.pending_since, kept.order.id));
        let orders = self.orders.values().map(|kept| &kept.order);
        let made: Vec<_> = orders
            .filter(|order| !is_older(order.created_at, window, now))
            .collect();
        let failed = made.iter().filter(|order| {
            matches!(
                order.status,
                OrderStatus::PaymentFailed | OrderStatus::Cancelled
            )
        });
        let counts = Counts {
            negative_stock: 0, // a `Stock` can't be
            unpaid: waiting.len() as u64,
            orders: made.len() as u64,
            failed: failed.count() as u64,
        };
        let mut report = Report::of(now, window, counts, rates);

        let waiting = waiting.into_iter().take(Report::ROWS);
        report.unpaid = waiting
            .map(|kept| UnpaidOrder::new(kept.order.id, kept.pending_since, kept.order.total))
            .collect();

        let mut sold: BTreeMap<&Sku, (i64, i64)> = BTreeMap::new();
        let kept = made
            .iter()
            .filter(|order| order.status != OrderStatus::Cancelled);
        for line in kept.flat_map(|order| &order.lines) {
            let (units, orders) = sold.entry(&line.sku).or_default();
            *units += line.quantity.get() - line.returned;
            *orders += 1;
        }
        let mut sold: Vec<_> = sold
            .into_iter()
            .map(|(sku, (units, orders))| BestSeller::new(sku.clone(), units, orders))
            .collect();
        sold.sort_by_key(|seller| std::cmp::Reverse(seller.units));
        sold.truncate(Report::ROWS);
        report.best_sellers = sold;

        let products = self.products.values().map(|shelf| &shelf.product);
        let mut contended: Vec<_> = products
            .filter(|product| product.version > Report::CONTENDED_ABOVE)
            .map(|product| ContendedProduct::new(product.sku.clone(), product.version))
            .collect();
        contended.sort_by_key(|product| std::cmp::Reverse(product.version));
        contended.truncate(Report::ROWS);
        report.contended = contended;
        report
    }
}
