//! Attacks on the operations of the inventory in memory. There is no server, so the surroundings are those of a
//! process: dropped futures, runtimes and panics, crowds, repeated requests, largest numbers and the client's clock.

mod broken;
mod ground;
mod rows;
mod surroundings;

use std::{sync::Arc, time::Duration};

use optilock::{
    inventory::PgInventory,
    sqlx::{PgPool, postgres::PgConnectOptions},
};

use super::{
    Cell,
    inventory::{
        Answer,
        operations::{OPERATIONS, OnRepeat, Operation, Special},
    },
    matrix,
};
use ground::Ground;
pub use surroundings::GROUPS;

pub const FLOOR: &str = "inventory in memory";

/// No operation waits for anything.
const LIMIT: Duration = Duration::from_secs(2);

/// An operation of the table.
#[derive(Clone, Copy)]
pub struct Variant(&'static Operation);

impl matrix::Variant for Variant {
    fn name(&self) -> String {
        let Operation {
            method, scenario, ..
        } = self.0;
        match *scenario {
            "" => (*method).to_owned(),
            scenario => format!("{method}, {scenario}"),
        }
    }
}

/// Makes an inventory for each run of an operation.
#[derive(Clone)]
pub struct Harness {
    limit: Duration,
    /// Never connected; operations without a form in memory have no row here.
    pg: Arc<(PgInventory, PgPool)>,
}

impl matrix::Harness for Harness {
    const FLOOR: &'static str = FLOOR;
    const LIMIT: Duration = LIMIT;

    type Variant = Variant;

    fn variants() -> Vec<Variant> {
        let elsewhere = [Special::OfPostgres, Special::WithOutbox, Special::WithHook];
        let rows = OPERATIONS.iter();
        let rows = rows.filter(|row| !elsewhere.iter().any(|special| row.is(*special)));
        rows.map(Variant).collect()
    }

    async fn new() -> Self {
        let pool = PgPool::connect_lazy_with(PgConnectOptions::new_without_pgpass());
        Self {
            limit: LIMIT,
            pg: Arc::new((PgInventory::new(pool.clone()), pool)),
        }
    }

    fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Each run has an inventory of its own, which its cell checks.
    async fn check_after(&self, _: &str) {}

    async fn reset(&self) {}
}
