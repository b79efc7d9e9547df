//! What was seen, as `--json` prints it.

use serde::Serialize;

use crate::contender::Contender;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) server: String,
    pub(crate) source: &'static str,
    pub(crate) durable: bool,
    pub(crate) race: Vec<Raced>,
    pub(crate) flood: Vec<Flooded>,
    pub(crate) books_balance: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Raced {
    pub(crate) strategy: Contender,
    pub(crate) buyers: u32,
    pub(crate) stock: i64,
    /// By the tables.
    pub(crate) sold: i64,
    pub(crate) oversold: i64,
    pub(crate) refused: u64,
    pub(crate) conflicts: u64,
    pub(crate) attempts_max: u32,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// Buyers who were told that they had bought.
    #[serde(skip)]
    pub(crate) acknowledged: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Flooded {
    pub(crate) strategy: Contender,
    pub(crate) buyers: u32,
    pub(crate) skus: u32,
    /// That buyers were told.
    pub(crate) orders: usize,
    pub(crate) orders_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) conflicts: u64,
    pub(crate) attempts_mean: f64,
    pub(crate) attempts_max: u32,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// Units, by the tables.
    #[serde(skip)]
    pub(crate) sold: i64,
    #[serde(skip)]
    pub(crate) sold_out: bool,
}

impl Report {
    /// What should not be: all but `naive` are expected to sell what there is and to keep conflicts
    /// to themselves.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for row in self
            .race
            .iter()
            .filter(|row| row.strategy != Contender::Naive)
        {
            if row.oversold > 0 {
                failures.push(format!(
                    "{} oversold {} units in the race",
                    row.strategy, row.oversold
                ));
            }
        }
        let race = self.race.iter().map(|row| (row.strategy, row.escaped));
        let flood = self.flood.iter().map(|row| (row.strategy, row.escaped));
        for (strategy, escaped) in race.chain(flood).filter(|(_, escaped)| *escaped > 0) {
            failures.push(format!("{strategy} let {escaped} conflicts reach a buyer"));
        }
        failures
    }

    /// Sales that buyers were told of and that the tables don't know, or the other way round.
    pub(crate) fn disagreements(&self) -> Vec<String> {
        let race = self
            .race
            .iter()
            .map(|row| (row.strategy, row.acknowledged, row.sold));
        let flood = self
            .flood
            .iter()
            .map(|row| (row.strategy, row.orders, row.sold));
        race.chain(flood)
            .filter(|(_, told, sold)| i64::try_from(*told) != Ok(*sold))
            .map(|(strategy, told, sold)| {
                format!("{strategy}: buyers were told of {told} sales, the tables hold {sold}")
            })
            .collect()
    }
}
