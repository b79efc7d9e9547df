//! 18: the same request is sent twice.

use optilock::inventory::{
    Adjustment, Checkout, Error, Inventory, Line, OrderId, PgInventory, ReservationId, Reserve,
};

use super::{
    Answer, Cell, Fixture, Harness, Prepared, Variant,
    operations::{self, OnRepeat},
};
use crate::support::goods::units;

const CHANGES_NOTHING: Cell = Cell::CannotApply("it changes nothing");

pub async fn at_once(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !variant.operation.writes() {
        return CHANGES_NOTHING;
    }
    for _ in 0..4 {
        let prepared = harness.prepare(variant).await;
        let (one, other) = tokio::join!(
            harness.attempt(variant, &prepared.fixture, cell),
            harness.attempt(variant, &prepared.fixture, cell)
        );
        if variant.operation.is_cleanup() {
            prepared.fixture.forget_caches(); // the other call may have done the work
        }
        harness
            .judge(variant, &prepared, Some(&Answer::Done), cell)
            .await;
        let done = [&one, &other].map(Answer::is_done);
        let fits = match variant.operation.on_repeat {
            _ if variant.operation.is_cleanup() => done[0] || done[1],
            OnRepeat::Replayed => done[0] && done[1],
            OnRepeat::Refused(code) => {
                done[0] != done[1] && (one.is_refused(code) || other.is_refused(code))
            }
        };
        assert!(fits, "{cell}: {one:?} and {other:?}");
    }
    Cell::Passed
}

pub async fn later(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !variant.operation.writes() {
        return CHANGES_NOTHING;
    }
    let prepared = harness.prepare(variant).await;
    let answer = harness.attempt(variant, &prepared.fixture, cell).await;
    harness.judge(variant, &prepared, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let again = harness.attempt(variant, &prepared.fixture, cell).await;
    // The repetition stores nothing.
    harness
        .judge(variant, &prepared, Some(&Answer::Done), cell)
        .await;
    let fits = match variant.operation.on_repeat {
        _ if variant.operation.is_cleanup() => matches!(again, Answer::NothingToDo),
        OnRepeat::Replayed => again.is_done(),
        OnRepeat::Refused(code) => again.is_refused(code),
    };
    assert!(fits, "{cell}: {again:?}");
    Cell::Passed
}

/// Another caller undoes the operation's effect before the repetition, which has no second effect.
pub async fn undone(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    let can_be_undone = ["checkout", "reserve", "adjust_stock", "return_items"];
    if !variant.operation.writes() {
        return CHANGES_NOTHING;
    }
    if !can_be_undone.contains(&variant.operation.method) {
        return Cell::CannotApply(
            "it has no request id: sent again, without the expected version, it is another request",
        );
    }
    let pool = &harness.db.pool;
    let Prepared { fixture, .. } = harness.prepare(variant).await;
    let answer = harness.attempt(variant, &fixture, cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let other = PgInventory::new(pool.clone());
    match variant.operation.method {
        "checkout" => other.cancel(fixture.order, "by another").await.map(drop),
        "reserve" => other.release(operations::reservation(&fixture)).await,
        _ => {
            let back = Adjustment::new(fixture.pot(), -1, "by another").unwrap();
            other.adjust_stock(back).await.map(drop)
        }
    }
    .unwrap();
    let before = fixture.stored(pool).await;
    let again = harness.attempt(variant, &fixture, cell).await;
    assert!(again.is_done(), "{cell}: {again:?}");
    assert_eq!(
        fixture.stored(pool).await,
        before,
        "{cell}: a second effect"
    );
    Cell::Passed
}

/// Sends the request with another id and `pots` pots, with the same key or another one.
async fn send_another(
    harness: &Harness,
    variant: &Variant,
    fixture: &Fixture,
    same_key: bool,
    pots: i64,
) -> Result<(), Error> {
    let shop = harness.shop(variant);
    let key = if same_key {
        fixture.key.clone()
    } else {
        format!("{} of another", fixture.key)
    };
    if variant.operation.method == "checkout" {
        let lines = [(fixture.pot(), pots), (fixture.mug(), 1)];
        let cart = lines.map(|(sku, count)| Line::new(sku, units(count)));
        let cart = Checkout::new(cart).unwrap();
        let cart = cart
            .with_order_id(OrderId::new())
            .with_customer(fixture.customer.clone())
            .with_idempotency_key(key);
        return shop.checkout(cart).await.map(drop);
    }
    let mut reserve = operations::reserve(fixture).with_reservation_id(ReservationId::new());
    if pots != 2 {
        let lines = [(fixture.pot(), units(pots)), (fixture.mug(), units(1))];
        reserve = Reserve::new(lines)
            .unwrap()
            .with_customer(fixture.customer.clone());
    }
    shop.reserve(reserve.with_idempotency_key(key))
        .await
        .map(drop)
}

fn has_key(variant: &Variant) -> bool {
    variant.operation.method == "reserve" || variant.operation.scenario == "two lines and a key"
}

const NO_KEY: Cell = Cell::CannotApply("it has no key");

/// Another cart with the same key is refused, and the first one stays.
pub async fn another_cart(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !has_key(variant) {
        return NO_KEY;
    }
    let prepared = harness.prepare(variant).await;
    assert!(
        harness
            .attempt(variant, &prepared.fixture, cell)
            .await
            .is_done(),
        "{cell}"
    );
    let refusal = send_another(harness, variant, &prepared.fixture, true, 3)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), "idempotency-mismatch", "{cell}: {refusal}");
    harness
        .judge(variant, &prepared, Some(&Answer::Done), cell)
        .await;
    Cell::Passed
}

/// The same cart with another key is another order or reservation.
pub async fn another_key(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !has_key(variant) {
        return NO_KEY;
    }
    let Prepared { fixture, .. } = harness.prepare(variant).await;
    assert!(
        harness.attempt(variant, &fixture, cell).await.is_done(),
        "{cell}"
    );
    let once = fixture.stored(&harness.db.pool).await;
    send_another(harness, variant, &fixture, false, 2)
        .await
        .unwrap();
    let twice = fixture.stored(&harness.db.pool).await;
    assert_ne!(once, twice, "{cell}: one effect for two requests");
    send_another(harness, variant, &fixture, false, 2)
        .await
        .unwrap();
    assert_eq!(
        fixture.stored(&harness.db.pool).await,
        twice,
        "{cell}: a third effect"
    );
    Cell::Passed
}
