//! The rows that one run of an operation works on: two products, and an order or reservations of them. SQL of the
//! tests stores and reads them.

mod describe;
mod rows;

use std::sync::{Arc, Mutex};

use optilock::{
    inventory::{OrderId, ReservationId, Sku},
    sqlx::PgPool,
};
use uuid::Uuid;

use super::shop::Cache;
use crate::support::{goods::sku, triggers::run};
use rows::Rows;

/// What is stored before the operation. There are ten pots and ten mugs, unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setup {
    Empty,
    Stocked,
    /// The pot is retired.
    Retired,
    /// The sale of the pot is paused.
    Paused,
    /// An order of two pots and a mug, an hour old, in this state.
    Ordered(Status),
    /// The same order, unpaid, with its entry in the outbox.
    Announced,
    /// A cancelled order of two pots and a mug; two expired reservations hold everything.
    CancelledBehindExpiredHolds,
    /// A reservation of two pots and a mug, for twenty minutes.
    Reserved,
    /// A reservation of two pots and a mug that expired an hour ago.
    ExpiredReservation,
    /// Two expired reservations hold everything.
    ExpiredHolds,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Pending = 0,
    Failed = 1,
    Paid = 2,
    Cancelled = 3,
}

#[derive(Clone)]
pub struct Fixture {
    pub setup: Setup,
    pub number: u32,
    pub order: OrderId,
    pub reservation: ReservationId,
    /// The id of an adjustment or a return.
    pub token: Uuid,
    /// Whether the operation uses the largest pages and durations.
    pub extreme: bool,
    /// Whether the rows are stored by the inventory, so that none is old.
    pub is_new: bool,
    /// The key of a checkout or a reservation that the operation makes.
    pub key: String,
    pub customer: String,
    /// The caches through which the operation ran.
    pub caches: Arc<Mutex<Vec<Arc<Cache>>>>,
}

impl Fixture {
    pub fn new(setup: Setup) -> Self {
        let number = rand::random();
        Self {
            caches: Arc::default(),
            setup,
            number,
            order: OrderId::new(),
            reservation: ReservationId::new(),
            token: Uuid::now_v7(),
            extreme: false,
            is_new: false,
            key: format!("key {number}"),
            customer: format!("ana {number}"),
        }
    }

    /// What the caches display is not compared: another caller made the change.
    pub fn forget_caches(&self) {
        self.caches.lock().unwrap().clear();
    }

    pub fn pot(&self) -> Sku {
        sku(&format!("pot {}", self.number))
    }

    pub fn mug(&self) -> Sku {
        sku(&format!("mug {}", self.number))
    }

    pub fn skus(&self) -> Vec<String> {
        [self.pot(), self.mug()].map(|sku| sku.to_string()).to_vec()
    }

    /// Returns all names by which a host can identify the rows.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.skus();
        names.extend([
            self.customer.clone(),
            format!("bob {}", self.number),
            self.order.to_string(),
        ]);
        names
    }

    pub async fn store(&self, pool: &PgPool) {
        if self.setup != Setup::Empty {
            run(pool, self.sql()).await;
        }
    }

    fn sql(&self) -> String {
        let mut rows = Rows::of(self.number);
        match self.setup {
            Setup::Ordered(status) => rows.add_order(self.order.uuid(), status),
            Setup::Announced => {
                rows.add_order(self.order.uuid(), Status::Pending);
                rows.add_entry(self.order.uuid());
            }
            Setup::CancelledBehindExpiredHolds => {
                rows.add_order(self.order.uuid(), Status::Cancelled);
                self.add_expired_holds(&mut rows);
            }
            Setup::ExpiredHolds => self.add_expired_holds(&mut rows),
            Setup::Reserved => rows.add_reservation(self.reservation.uuid(), [2, 1], "20 minutes"),
            Setup::ExpiredReservation => {
                rows.add_reservation(self.reservation.uuid(), [2, 1], "-1 hour");
            }
            Setup::Retired => rows.retire_pot(),
            Setup::Paused => rows.pause_pot(),
            Setup::Empty | Setup::Stocked => {}
        }
        rows.into_sql()
    }

    fn add_expired_holds(&self, rows: &mut Rows) {
        rows.add_reservation(self.reservation.uuid(), [4, 5], "-1 hour");
        rows.add_reservation(self.token, [6, 5], "-2 hours");
    }

    /// Returns the expired reservations that an operation may expire, partly or not at all.
    fn expired_reservations(&self) -> Vec<Uuid> {
        match self.setup {
            Setup::ExpiredHolds | Setup::CancelledBehindExpiredHolds => {
                vec![self.reservation.uuid(), self.token]
            }
            _ => Vec::new(),
        }
    }
}
