//! The state of the shop.

use std::{error::Error, sync::Arc};

use optilock::{
    inventory::{BatchOptions, BatchedInventory, PgInventory},
    sqlx::PgPool,
};
use tokio::sync::watch;

use crate::{
    carts::Carts, database, limits::Limits, pulse::Pulse, race::Races, running::Running,
    sale::Sales, settings::Settings, telemetry, users::Users,
};

/// The state that every handler shares.
pub type Shop = Arc<App>;

/// The inventory of the shop, and what its handlers need beside it.
#[derive(Debug)]
pub struct App {
    /// The products, orders and reservations.
    pub inventory: BatchedInventory,
    pub(crate) pool: PgPool,
    pub(crate) carts: Carts,
    pub(crate) users: Users,
    pub(crate) limits: Limits,
    pub(crate) pulse: Pulse,
    /// The last tick of the dashboard, as JSON.
    pub(crate) ticks: watch::Sender<Arc<str>>,
    /// Becomes true when the shop shuts down.
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) races: Races,
    pub(crate) running: Running,
    pub(crate) settings: Settings,
}

impl App {
    /// Opens the shop on a database. Creates the missing tables of the inventory and of the shop, and adds the
    /// products of the example if there are none.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement that failed.
    pub async fn open(
        pool: PgPool,
        settings: Settings,
        stopped: watch::Receiver<bool>,
    ) -> Result<Shop, Box<dyn Error>> {
        telemetry::metrics();
        let carts = Carts::new(pool.clone());
        let inventory = PgInventory::new(pool.clone())
            .in_schema(database::SCHEMA)?
            .with_hook(Arc::new(Sales::new(carts.clone())));
        inventory.migrate().await?;
        let inventory = BatchedInventory::new(inventory, BatchOptions::new());
        let races = Races::new(pool.clone());
        database::prepare(&pool, &inventory).await?;
        Ok(Arc::new(Self {
            inventory,
            pool,
            carts,
            users: Users::demo(),
            limits: Limits::new(),
            pulse: Pulse::new(),
            ticks: watch::Sender::new("{}".into()),
            stopped,
            races,
            running: Running::new(),
            settings,
        }))
    }

    /// Returns the number of requests that are being answered.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.running.number()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopped.borrow()
    }
}
