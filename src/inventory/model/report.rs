use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use super::{Money, OrderId, Sku};
use crate::Version;
use crate::inventory::model::rates::Rates;

/// How the shop is doing: five figures with their thresholds, and the rows behind them.
///
/// Orders and stocks are those of the database. How checkouts went is counted by each process for
/// itself, minute by minute, for an hour: [`covers`](Self::covers) says of how much of the window that
/// is told. A dashboard over several processes sums their metrics instead.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// When it was made, by the database's clock.
    pub made_at: DateTime<Utc>,
    /// How far back orders and sales go, in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub window: Duration,
    /// How far back conflict rate, attempts and latency go, in seconds: the window, to the minute, but
    /// at most an hour, and no longer than this inventory has been there.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub covers: Duration,
    /// One of each [`KpiKind`], in their order.
    pub kpis: [Kpi; 5],
    /// Products with fewer units than none, or fewer than are reserved; at most [`Report::ROWS`]. The
    /// database refuses them: somebody took its checks away.
    pub negative_stock: Vec<NegativeStock>,
    /// Orders that have awaited payment for longer than [`Report::UNPAID_AFTER`], the oldest first; at
    /// most [`Report::ROWS`]. If their number grows, no [`Janitor`](crate::inventory::Janitor) runs.
    pub unpaid: Vec<UnpaidOrder>,
    /// All of those, also the ones that are not listed.
    pub unpaid_count: u64,
    /// What sold best within the window, the best first; at most [`Report::ROWS`].
    pub best_sellers: Vec<BestSeller>,
    /// Products that changed more often than [`Report::CONTENDED_ABOVE`] times in their life, the most
    /// contended first; at most [`Report::ROWS`].
    pub contended: Vec<ContendedProduct>,
}

impl Report {
    /// The most rows of one list.
    pub const ROWS: usize = 20;
    /// 30 minutes: from then on an order is listed as unpaid.
    pub const UNPAID_AFTER: Duration = Duration::from_secs(30 * 60);
    /// The highest version of a product that is not listed as contended.
    pub const CONTENDED_ABOVE: Version = Version::new(100).expect("a constant above 0");

    /// Figures in need of somebody.
    pub fn alerts(&self) -> impl Iterator<Item = &Kpi> {
        self.kpis.iter().filter(|kpi| kpi.alert)
    }
}

/// A figure, and from where on it wants somebody's attention.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Kpi {
    /// Which.
    pub kind: KpiKind,
    /// What it is; `None` when nothing happened that it could be told of.
    pub value: Option<f64>,
    /// What it should not exceed.
    pub goal: f64,
    /// Above this it alerts.
    pub threshold: f64,
    /// Whether it does.
    pub alert: bool,
}

impl Kpi {
    /// A figure of this kind.
    #[must_use]
    pub fn new(kind: KpiKind, value: Option<f64>) -> Self {
        let threshold = kind.threshold();
        Self {
            kind,
            value,
            goal: kind.goal(),
            threshold,
            alert: value.is_some_and(|value| value > threshold),
        }
    }
}

/// `conflict-rate 0.012 (goal 0.01, alert above 0.05)`
impl fmt::Display for Kpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            value,
            goal,
            threshold,
            alert,
        } = self;
        write!(f, "{kind} ")?;
        match value {
            None => f.write_str("unknown")?,
            // Two digits or three say it; nobody acts on a fourth.
            Some(value) => write!(f, "{}", (value * 1_000.0).round() / 1_000.0)?,
        }
        write!(f, " (goal {goal}, alert above {threshold})")?;
        f.write_str(if *alert { ", ALERT" } else { "" })
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum KpiKind {
    /// Products with a negative stock: none; alerts above that.
    NegativeStock,
    /// Of the checkouts that this process answered, the share whose answer was a conflict, 0 to 1: 0.01;
    /// alerts above 0.05. What a retry absorbed is none.
    ConflictRate,
    /// Attempts per checkout of this process: 1.5; alerts above 2.5.
    MeanAttempts,
    /// What 99 of 100 checkouts of this process did not exceed, in seconds, at most an eighth too high:
    /// 2; alerts above 5.
    CheckoutSeconds,
    /// Of the orders made within the window, the share whose payment failed or that were cancelled, 0 to
    /// 1: 0.02; alerts above 0.1.
    FailedOrders,
}

impl KpiKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NegativeStock,
        Self::ConflictRate,
        Self::MeanAttempts,
        Self::CheckoutSeconds,
        Self::FailedOrders,
    ];

    /// What it should not exceed.
    #[must_use]
    pub const fn goal(self) -> f64 {
        match self {
            Self::NegativeStock => 0.0,
            Self::ConflictRate => 0.01,
            Self::MeanAttempts => 1.5,
            Self::CheckoutSeconds => 2.0,
            Self::FailedOrders => 0.02,
        }
    }

    /// Above this it alerts.
    #[must_use]
    pub const fn threshold(self) -> f64 {
        match self {
            Self::NegativeStock => 0.0,
            Self::ConflictRate => 0.05,
            Self::MeanAttempts => 2.5,
            Self::CheckoutSeconds => 5.0,
            Self::FailedOrders => 0.1,
        }
    }

    /// Stable, in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NegativeStock => "negative-stock",
            Self::ConflictRate => "conflict-rate",
            Self::MeanAttempts => "mean-attempts",
            Self::CheckoutSeconds => "checkout-seconds",
            Self::FailedOrders => "failed-orders",
        }
    }
}

impl fmt::Display for KpiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A product whose stock can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NegativeStock {
    /// The product.
    pub sku: Sku,
    /// Units on hand.
    pub stock: i64,
    /// Units held of them.
    pub reserved: i64,
    /// The version that a count of the shelf wants: the product itself can't be read.
    pub version: Version,
}

impl NegativeStock {
    /// A row of a report.
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

/// An order that nobody pays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnpaidOrder {
    /// The order.
    pub id: OrderId,
    /// Since when its payment is awaited.
    pub since: DateTime<Utc>,
    /// What it comes to.
    pub total: Money,
}

impl UnpaidOrder {
    /// A row of a report.
    #[must_use]
    pub const fn new(id: OrderId, since: DateTime<Utc>, total: Money) -> Self {
        Self { id, since, total }
    }
}

/// A product that is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BestSeller {
    /// The product.
    pub sku: Sku,
    /// Units in orders that were not cancelled, without those that came back.
    pub units: i64,
    /// How many such orders.
    pub orders: i64,
}

impl BestSeller {
    /// A row of a report.
    #[must_use]
    pub const fn new(sku: Sku, units: i64, orders: i64) -> Self {
        Self { sku, units, orders }
    }
}

/// A product that changes often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ContendedProduct {
    /// The product.
    pub sku: Sku,
    /// How often it has changed.
    pub version: Version,
}

impl ContendedProduct {
    /// A row of a report.
    #[must_use]
    pub const fn new(sku: Sku, version: Version) -> Self {
        Self { sku, version }
    }
}

/// What is counted of all rows, those of the lists and the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) negative_stock: u64,
    pub(crate) unpaid: u64,
    /// Made within the window.
    pub(crate) orders: u64,
    /// Of those, the ones whose payment failed, and the cancelled ones.
    pub(crate) failed: u64,
}

impl Report {
    /// Without its lists.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_alerts_above_its_threshold_only() {
        for kind in KpiKind::ALL {
            assert!(!Kpi::new(kind, None).alert);
            assert!(!Kpi::new(kind, Some(kind.threshold())).alert);
            assert!(Kpi::new(kind, Some(kind.threshold() + 0.001)).alert);
            assert!(kind.goal() <= kind.threshold());
        }
        let told = Kpi::new(KpiKind::ConflictRate, Some(0.06)).to_string();
        assert_eq!(
            told,
            "conflict-rate 0.06 (goal 0.01, alert above 0.05), ALERT"
        );
        let told = Kpi::new(KpiKind::CheckoutSeconds, None).to_string();
        assert_eq!(told, "checkout-seconds unknown (goal 2, alert above 5)");
    }
}
