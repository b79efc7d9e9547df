//! The report, as `--json` prints it.

use serde::Serialize;

use crate::method::Method;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) server: String,
    pub(crate) source: &'static str,
    pub(crate) durable: bool,
    pub(crate) race: Vec<Raced>,
    pub(crate) flood: Vec<Flooded>,
    /// Whole sales: `orders` are paid ones, and a latency is that of all steps together.
    pub(crate) sale: Vec<Flooded>,
    pub(crate) books_balance: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Raced {
    pub(crate) strategy: Method,
    pub(crate) buyers: u32,
    pub(crate) stock: i64,
    /// Units in orders, as the tables have it.
    pub(crate) sold: i64,
    pub(crate) oversold: i64,
    pub(crate) refused: u64,
    pub(crate) conflicts: u64,
    pub(crate) attempts_max: u32,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// Sales that were reported to buyers.
    #[serde(skip)]
    pub(crate) acknowledged: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Flooded {
    pub(crate) strategy: Method,
    pub(crate) buyers: u32,
    pub(crate) skus: u32,
    /// Sales that were reported to buyers.
    pub(crate) orders: usize,
    pub(crate) orders_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) conflicts: u64,
    pub(crate) attempts_mean: f64,
    pub(crate) attempts_max: u32,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// Units in orders, as the tables have it.
    #[serde(skip)]
    pub(crate) sold: i64,
    #[serde(skip)]
    pub(crate) sold_out: bool,
}

impl Report {
    /// Creates a report without rows.
    pub(crate) fn new(server: &str, source: &'static str, durable: bool) -> Self {
        Self {
            server: server.to_owned(),
            source,
            durable,
            race: Vec::new(),
            flood: Vec::new(),
            sale: Vec::new(),
            books_balance: true,
        }
    }

    /// Returns the failures: every method except `naive` must not oversell, and no conflict may reach a
    /// buyer.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for row in self.race.iter().filter(|row| row.strategy != Method::Naive) {
            if row.oversold > 0 {
                failures.push(format!(
                    "{} oversold {} units in the race",
                    row.strategy, row.oversold
                ));
            }
        }
        let race = self.race.iter().map(|row| (row.strategy, row.escaped));
        let flood = self.flood.iter().chain(&self.sale);
        let flood = flood.map(|row| (row.strategy, row.escaped));
        for (strategy, escaped) in race.chain(flood).filter(|(_, escaped)| *escaped > 0) {
            failures.push(format!("{strategy}: {escaped} conflicts reached a buyer"));
        }
        failures
    }

    /// Returns the methods for which the reported sales differ from the sales in the tables.
    pub(crate) fn disagreements(&self) -> Vec<String> {
        let race = self
            .race
            .iter()
            .map(|row| (row.strategy, row.acknowledged, row.sold));
        let flood = self
            .flood
            .iter()
            .chain(&self.sale)
            .map(|row| (row.strategy, row.orders, row.sold));
        race.chain(flood)
            .filter(|(_, reported, sold)| i64::try_from(*reported) != Ok(*sold))
            .map(|(strategy, reported, sold)| {
                format!("{strategy}: {reported} sales reported to buyers, {sold} in the tables")
            })
            .collect()
    }
}
