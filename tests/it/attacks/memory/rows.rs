//! The rows of a fixture in memory, stored and read by the inventory itself.

use std::{fmt::Write as _, time::Duration};

use optilock::inventory::{
    Checkout, HoldState, Inventory, Line, MemoryInventory, NewProduct, OrderId, Page,
    ReservationId, Reserve,
};

use crate::{
    attacks::inventory::{
        fixture::{Fixture, Setup, Status},
        operations,
    },
    support::goods::{pesos, sku, stock, units},
};

/// Stores what the setup says. Nothing is old: reservations expire as soon as they are made.
pub async fn store(shop: &MemoryInventory, fixture: &Fixture) {
    if fixture.setup == Setup::Empty {
        return;
    }
    for (of, name) in [(fixture.pot(), "A pot"), (fixture.mug(), "A mug")] {
        let new = NewProduct::new(of, name, pesos(1_000)).with_stock(stock(10));
        shop.add_product(new).await.unwrap();
    }
    match fixture.setup {
        Setup::Empty | Setup::Stocked => {}
        Setup::Retired => {
            let pot = shop.product(&fixture.pot()).await.unwrap();
            shop.retire_product(&pot.sku, pot.version).await.unwrap();
        }
        Setup::Paused => drop(shop.pause(&fixture.pot()).await.unwrap()),
        Setup::Ordered(status) => order(shop, fixture, status).await,
        Setup::Announced => order(shop, fixture, Status::Pending).await,
        Setup::CancelledBehindExpiredHolds => {
            order(shop, fixture, Status::Cancelled).await;
            expired_holds(shop, fixture).await;
        }
        Setup::ExpiredHolds => expired_holds(shop, fixture).await,
        Setup::Reserved => {
            let long = Duration::from_secs(1_200);
            reserve(shop, fixture, (fixture.reservation, [2, 1]), long).await;
        }
        Setup::ExpiredReservation => {
            let short = Duration::from_micros(1);
            reserve(shop, fixture, (fixture.reservation, [2, 1]), short).await;
            expire(shop, fixture.reservation).await;
        }
    }
}

async fn order(shop: &MemoryInventory, fixture: &Fixture, status: Status) {
    shop.checkout(old_order(fixture, [])).await.unwrap();
    match status {
        Status::Pending => {}
        Status::Failed => drop(shop.mark_payment_failed(fixture.order).await.unwrap()),
        Status::Paid => drop(shop.mark_paid(fixture.order).await.unwrap()),
        Status::Cancelled => drop(shop.cancel(fixture.order, "late").await.unwrap()),
    }
}

fn old_order(fixture: &Fixture, more: impl IntoIterator<Item = Line>) -> Checkout {
    let lines = [
        Line::new(fixture.pot(), units(2)),
        Line::new(fixture.mug(), units(1)),
    ];
    Checkout::new(lines.into_iter().chain(more))
        .unwrap()
        .with_order_id(fixture.order)
        .with_customer(format!("bob {}", fixture.number))
        .with_idempotency_key("old key")
}

async fn expired_holds(shop: &MemoryInventory, fixture: &Fixture) {
    let second = ReservationId::from(fixture.token);
    for (id, held) in [(fixture.reservation, [4, 5]), (second, [6, 5])] {
        reserve(shop, fixture, (id, held), Duration::from_millis(5)).await;
    }
    expire(shop, fixture.reservation).await;
    expire(shop, second).await;
}

async fn reserve(
    shop: &MemoryInventory,
    fixture: &Fixture,
    (id, [pots, mugs]): (ReservationId, [i64; 2]),
    duration: Duration,
) {
    let held = [(fixture.pot(), units(pots)), (fixture.mug(), units(mugs))];
    let reserve = Reserve::new(held).unwrap().with_reservation_id(id);
    shop.reserve(reserve.for_duration(duration)).await.unwrap();
}

/// Waits until the reservation has expired.
async fn expire(shop: &MemoryInventory, id: ReservationId) {
    while shop.reservation(id).await.unwrap().is_live() {
        tokio::task::yield_now().await;
    }
}

/// Describes everything that is stored, without times and names.
pub async fn describe(shop: &MemoryInventory, fixture: &Fixture) -> String {
    let mut text = String::new();
    for (name, of) in [("mug", fixture.mug()), ("pot", fixture.pot())] {
        match shop.product(&of).await {
            Ok(it) => {
                let (stock, reserved) = (it.stock.get(), it.reserved.get());
                write!(text, "{name} {stock}-{reserved} r{:?}", it.revision).unwrap();
                write!(text, "{}", if it.paused { " paused" } else { "" }).unwrap();
            }
            Err(_) => write!(text, "no {name}").unwrap(),
        }
        for movement in shop.movements(&of, Page::first(100)).await.unwrap() {
            write!(text, " {:?}:{}", movement.kind, movement.delta).unwrap();
        }
        text += ", ";
    }
    if let Ok(order) = shop.order(fixture.order).await {
        write!(text, "order {:?} v{}", order.status, order.version).unwrap();
        for line in order.lines {
            write!(text, " {}-{}", line.quantity, line.returned).unwrap();
        }
        // With its key this is another request, and without it there is no such product.
        let unknown = Line::new(sku("unknown"), units(1));
        let again = old_order(fixture, [unknown]).with_order_id(OrderId::new());
        let refusal = shop.checkout(again).await.unwrap_err();
        write!(text, " {}, ", refusal.code()).unwrap();
    }
    for id in [
        fixture.reservation,
        ReservationId::from(fixture.token),
        operations::reservation(fixture),
    ] {
        for hold in shop.reservation(id).await.map_or(Vec::new(), |it| it.holds) {
            write!(
                text,
                "hold {} {} {:?}",
                hold.quantity, hold.held, hold.state
            )
            .unwrap();
            let left = hold.expires_at.timestamp() - now();
            let is_long = hold.state == HoldState::Held && left > 3_600;
            write!(text, "{}, ", if is_long { " long" } else { "" }).unwrap();
        }
    }
    text
}

fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
