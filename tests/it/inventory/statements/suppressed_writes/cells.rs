//! The writes of each operation, and what a trigger may do to them.

use std::time::Duration;

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Error, Inventory, PgInventory, ReservationId, Reserve,
        Strategy,
    },
    sqlx::{self, PgPool},
};

use crate::{
    support::goods::{cart, sku, units},
    support::triggers::{KEEP, SWALLOW},
};

/// What a trigger does to a written row.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The row is not written.
    Swallowed,
    /// The row is written with its old values, or with another value in the named column.
    Altered(&'static str),
}

impl Fault {
    /// Returns the body of the trigger.
    pub fn body(self) -> String {
        match self {
            Self::Swallowed => SWALLOW.to_owned(),
            Self::Altered("OLD") => KEEP.to_owned(),
            Self::Altered(column) => {
                let (column, value) = column.split_once(" = ").unwrap();
                format!("NEW.{column} := {value}; RETURN NEW;")
            }
        }
    }
}

/// The operations under test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// A checkout of one line.
    One(Strategy),
    /// A checkout of several lines.
    Many(Strategy),
    Batch,
    FromReservation,
    Reserve,
    Extend,
    Release,
    /// A checkout that needs the units of an expired hold.
    Expiring,
}

use Operation::{Batch, Expiring, Extend, FromReservation, Many, One, Release};

/// Returns the table, the event and the fault of each write of an operation, with or without the outbox.
pub fn writes(operation: Operation, outbox: bool) -> Vec<(&'static str, &'static str, Fault)> {
    use Fault::{Altered, Swallowed};
    let mut all = Vec::new();
    let mut add = |table, event, alterations: &[&'static str]| {
        all.push((table, event, Swallowed));
        all.extend(
            alterations
                .iter()
                .map(|column| (table, event, Altered(column))),
        );
    };
    if operation == Extend {
        add("holds", "UPDATE", &["OLD", "expires_at = OLD.expires_at"]);
        return all;
    }
    let sells = !matches!(operation, Operation::Reserve | Release);
    let stock = if sells && operation != Expiring {
        "stock = OLD.stock"
    } else {
        "reserved = OLD.reserved"
    };
    add("products", "UPDATE", &["OLD", stock]);
    add(
        "movements",
        "INSERT",
        &["stock_after = NEW.stock_after + 1"],
    );
    if sells {
        add(
            "orders",
            "INSERT",
            &["total = 7", "status = 2", "version = 2"],
        );
        add("order_lines", "INSERT", &["price = 7", "quantity = 7"]);
    }
    if sells && outbox {
        let alterations = ["transaction_id = 7", "order_id = gen_random_uuid()"];
        add("outbox", "INSERT", &alterations);
    }
    match operation {
        Operation::Reserve => {
            add("reservations", "INSERT", &["remaining = 7"]);
            add(
                "holds",
                "INSERT",
                &["held = 0", "quantity = 7", "state = 2"],
            );
        }
        FromReservation | Release => {
            add("reservations", "UPDATE", &["OLD"]);
            add("holds", "UPDATE", &["OLD", "state = OLD.state"]);
        }
        Expiring => add("holds", "UPDATE", &["OLD", "state = OLD.state"]),
        _ => {}
    }
    all
}

/// Returns what a refused operation must leave unchanged.
pub async fn stored(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(' ',
        (SELECT string_agg(p::text, ' ' ORDER BY sku) FROM optilock.products p),
        (SELECT string_agg(h::text, ' ' ORDER BY h) FROM optilock.holds h),
        (SELECT string_agg(r::text, ' ' ORDER BY id) FROM optilock.reservations r),
        (SELECT count(*) FROM optilock.orders WHERE status <> 4), (SELECT count(*) FROM optilock.order_lines),
        (SELECT count(*) FROM optilock.movements), (SELECT count(*) FROM optilock.outbox))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}

/// Runs an operation. The reservation holds mugs and pots.
pub async fn run(
    shop: &PgInventory,
    operation: Operation,
    held: ReservationId,
) -> Result<(), Error> {
    let by = |strategy| shop.clone().with_strategy(strategy);
    match operation {
        One(strategy) => by(strategy).checkout(cart(&[("pot", 2)])).await.map(drop),
        Many(strategy) => {
            let request = cart(&[("mug", 1), ("pot", 2)]);
            by(strategy).checkout(request).await.map(drop)
        }
        Batch => {
            let options = BatchOptions::new().always();
            let batched = BatchedInventory::new(shop.clone(), options);
            let (a, b) = (cart(&[("pot", 2)]), cart(&[("mug", 1), ("pot", 1)]));
            let (a, b) = tokio::join!(batched.checkout(a), batched.checkout(b));
            a.and(b).map(drop)
        }
        FromReservation => {
            let request = cart(&[("mug", 1), ("pot", 3)]).with_reservation(held);
            shop.checkout(request).await.map(drop)
        }
        Operation::Reserve => {
            let lines = [(sku("mug"), units(1)), (sku("pot"), units(2))];
            shop.reserve(Reserve::new(lines).unwrap()).await.map(drop)
        }
        Extend => {
            let by = Duration::from_secs(9_000);
            shop.extend(held, by).await.map(drop)
        }
        Release => shop.release(held).await,
        Expiring => shop.checkout(cart(&[("dish", 2)])).await.map(drop),
    }
}
