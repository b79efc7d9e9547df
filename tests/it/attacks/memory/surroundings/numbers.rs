//! 7: a backlog. 19: the largest numbers. 20: the client's clock.

use std::time::{Duration, Instant};

use optilock::inventory::{Adjustment, Inventory, ReservationId, Reserve, Stock};
use uuid::{NoContext, Timestamp, Uuid};

use super::{Answer, Cell, Ground, Harness, Variant};
use crate::support::goods::units;

/// There are 2,000 expired holds of one pot each.
pub async fn backlog(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if variant.0.method != "checkout" && variant.0.method != "cleanup_reservations" {
        return Cell::CannotApply("its work does not depend on what has expired");
    }
    let ground = Ground::new(harness, variant, cell).await;
    let pot = ground.fixture.pot();
    let more = Adjustment::new(pot.clone(), 2_000, "backlog").unwrap();
    ground.shop.adjust_stock(more).await.unwrap();
    for _ in 0..2_000 {
        let held = Reserve::new([(pot.clone(), units(1))]).unwrap();
        let held = held.with_reservation_id(ReservationId::new());
        let held = held.for_duration(Duration::from_micros(1));
        ground.shop.reserve(held).await.unwrap();
    }
    let start = Instant::now();
    let answer = ground.attempt(variant, cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    assert!(start.elapsed() < Duration::from_secs(1), "{cell}: late");
    let audit = ground.shop.audit().await.unwrap();
    assert!(audit.is_clean(), "{cell}: {audit}");
    Cell::Passed
}

/// The pot has the largest stock.
pub async fn largest_stock(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if matches!(
        variant.0.method,
        "product_at" | "retire_product" | "count_stock" | "update_product"
    ) {
        return Cell::CannotApply("it expects the version from before");
    }
    let ground = Ground::new(harness, variant, cell).await;
    let Ok(pot) = ground.shop.product(&ground.fixture.pot()).await else {
        return Cell::CannotApply("there is no product yet");
    };
    let more = Stock::MAX.get() - pot.stock.get();
    let more = Adjustment::new(pot.sku, more, "as many as there can be").unwrap();
    ground.shop.adjust_stock(more).await.unwrap();
    let before = ground.describe().await;
    let answer = ground.attempt(variant, cell).await;
    let stored = ground.describe().await;
    let agrees = match &answer {
        Answer::Done => (stored != before) == variant.0.writes(),
        Answer::NotDone(error) => error.code() == "invalid" && stored == before,
        Answer::NothingToDo | Answer::Unknown(_) => false,
    };
    assert!(agrees, "{cell}: {answer:?}, and stored is\n  {stored}");
    ground.check(cell).await;
    Cell::Passed
}

/// The request has the largest page or the longest duration.
pub async fn pages_and_durations(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let takes = [
        "products",
        "orders",
        "movements",
        "report",
        "extend",
        "reserve",
        "cleanup_failed_orders",
        "cleanup_idempotency_keys",
    ];
    if !takes.contains(&variant.0.method) {
        return Cell::CannotApply("it takes neither a page nor a duration");
    }
    let mut ground = Ground::new(harness, variant, cell).await;
    ground.fixture.extreme = true;
    let answer = ground.attempt(variant, cell).await;
    let fits = match variant.0.is_cleanup() {
        // No row is this old.
        true => matches!(answer, Answer::NothingToDo),
        false => answer.is_done(),
    };
    assert!(fits, "{cell}: {answer:?}");
    ground.check(cell).await;
    Cell::Passed
}

/// The ids were created by clients whose clocks are days off. Its own clock is that of the process.
pub async fn clients_clock(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for seconds in [0, 4_102_444_800] {
        let cell = format!("{cell} at {seconds} s");
        let id = move || Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
        let ground = Ground::changed(harness, variant, &cell, |fixture| {
            fixture.order = id().into();
            fixture.reservation = id().into();
            fixture.token = id();
        })
        .await;
        let answer = ground.attempt(variant, &cell).await;
        assert!(answer.is_done(), "{cell}: {answer:?}");
        ground.judge(Some(&answer), &cell).await;
    }
    Cell::Passed
}
