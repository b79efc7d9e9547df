use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Money, OrderId, Sku,
    kpi::{Kpi, KpiKind},
    rates::Rates,
};
use crate::Version;

/// A report on the shop: five figures with their thresholds, and the rows behind them.
///
/// Orders and stocks are those of the database. Each process counts its own checkouts, minute by minute, for an
/// hour: [`covers`](Self::covers) is the part of the window that these counts cover. A dashboard over several
/// processes adds up their metrics instead.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The time of the report, by the database's clock.
    pub made_at: DateTime<Utc>,
    /// The window of orders and sales, in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub window: Duration,
    /// The window of conflict rate, attempts and latency, in seconds: that of the report, to the minute, but at
    /// most an hour, and not before this inventory was created.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub covers: Duration,
    /// One figure of each [`KpiKind`], in their order.
    pub kpis: [Kpi; 5],
    /// Products with negative stock, or with less stock than is reserved; at most [`Report::ROWS`]. The
    /// database refuses such rows, unless its checks were dropped.
    pub negative_stock: Vec<NegativeStock>,
    /// Orders that have awaited payment for longer than [`Report::UNPAID_AFTER`], the oldest first; at
    /// most [`Report::ROWS`]. If their number grows, no [`Janitor`](crate::inventory::Janitor) runs.
    pub unpaid: Vec<UnpaidOrder>,
    /// The number of those orders, including the ones that are not listed.
    pub unpaid_count: u64,
    /// The best sellers within the window, the best first; at most [`Report::ROWS`].
    pub best_sellers: Vec<BestSeller>,
    /// Products that changed more often than [`Report::CONTENDED_ABOVE`] times since they were added, the most
    /// contended first; at most [`Report::ROWS`].
    pub contended: Vec<ContendedProduct>,
}

impl Report {
    /// The most rows in one list.
    pub const ROWS: usize = 20;
    /// The age at which an order is listed as unpaid: 30 minutes.
    pub const UNPAID_AFTER: Duration = Duration::from_secs(30 * 60);
    /// The highest version of a product that is not listed as contended.
    pub const CONTENDED_ABOVE: Version = Version::new(100).expect("a constant above 0"); // evaluated by the compiler

    /// Returns the figures above their alert threshold.
    pub fn alerts(&self) -> impl Iterator<Item = &Kpi> {
        self.kpis.iter().filter(|kpi| kpi.alert)
    }
}

/// A product whose stock is negative, or lower than its reserved units.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NegativeStock {
    /// The product.
    pub sku: Sku,
    /// Units on hand.
    pub stock: i64,
    /// Units that reservations hold.
    pub reserved: i64,
    /// The version to pass to [`count_stock`](crate::inventory::Inventory::count_stock).
    pub version: Version,
}

impl NegativeStock {
    /// Creates a row.
    #[must_use]
    pub const fn new(sku: Sku, stock: i64, reserved: i64, version: Version) -> Self {
        Self {
            sku,
            stock,
            reserved,
            version,
        }
    }
}

/// An order that awaits payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnpaidOrder {
    /// The order.
    pub id: OrderId,
    /// The time since which it has awaited payment.
    pub since: DateTime<Utc>,
    /// The total.
    pub total: Money,
}

impl UnpaidOrder {
    /// Creates a row.
    #[must_use]
    pub const fn new(id: OrderId, since: DateTime<Utc>, total: Money) -> Self {
        Self { id, since, total }
    }
}

/// A product and its sales.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BestSeller {
    /// The product.
    pub sku: Sku,
    /// Units in orders that were not cancelled, less returned units.
    pub units: i64,
    /// The number of these orders.
    pub orders: i64,
}

impl BestSeller {
    /// Creates a row.
    #[must_use]
    pub const fn new(sku: Sku, units: i64, orders: i64) -> Self {
        Self { sku, units, orders }
    }
}

/// A contended product.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ContendedProduct {
    /// The product.
    pub sku: Sku,
    /// The version, which is the number of its changes.
    pub version: Version,
}

impl ContendedProduct {
    /// Creates a row.
    #[must_use]
    pub const fn new(sku: Sku, version: Version) -> Self {
        Self { sku, version }
    }
}

/// Counts over all rows, including those that are not listed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) negative_stock: u64,
    pub(crate) unpaid: u64,
    /// Orders created within the window.
    pub(crate) orders: u64,
    /// Those of them whose payment failed or that were cancelled.
    pub(crate) failed: u64,
}

impl Report {
    /// Creates a report with empty lists.
    pub(crate) fn of(
        made_at: DateTime<Utc>,
        window: Duration,
        counts: Counts,
        rates: &Rates,
    ) -> Self {
        let seconds = rates.latency.p99().map(|took| took.as_secs_f64());
        let kpis = [
            (KpiKind::NegativeStock, share(counts.negative_stock, 1)),
            (
                KpiKind::ConflictRate,
                share(rates.conflicts, rates.checkouts),
            ),
            (
                KpiKind::MeanAttempts,
                share(rates.attempts, rates.checkouts),
            ),
            (KpiKind::CheckoutSeconds, seconds),
            (KpiKind::FailedOrders, share(counts.failed, counts.orders)),
        ];
        Self {
            made_at,
            window,
            covers: rates.covers,
            kpis: kpis.map(|(kind, value)| Kpi::new(kind, value)),
            negative_stock: Vec::new(),
            unpaid: Vec::new(),
            unpaid_count: counts.unpaid,
            best_sellers: Vec::new(),
            contended: Vec::new(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; counts stay far below 2^52"
)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(feature = "serde")]
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
