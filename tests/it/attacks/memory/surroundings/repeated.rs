//! 18: the same request is sent twice.

use optilock::inventory::{Checkout, Error, Line, OrderId, ReservationId, Reserve};

use super::{Answer, Cell, Ground, Harness, OnRepeat, Variant};
use crate::support::goods::units;

const CHANGES_NOTHING: Cell = Cell::CannotApply("it changes nothing");

/// Two threads send the request.
pub async fn at_once(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !variant.0.writes() {
        return CHANGES_NOTHING;
    }
    for _ in 0..4 {
        let ground = Ground::new(harness, variant, cell).await;
        let (one, other) = tokio::task::block_in_place(|| {
            let send = || tokio::runtime::Handle::current().block_on(ground.attempt(variant, cell));
            let handle = tokio::runtime::Handle::current();
            std::thread::scope(|threads| {
                let other = threads.spawn(|| {
                    let _inside = handle.enter();
                    send()
                });
                (send(), other.join().unwrap())
            })
        });
        judge(&ground, variant, [&one, &other], cell).await;
    }
    Cell::Passed
}

pub async fn later(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !variant.0.writes() {
        return CHANGES_NOTHING;
    }
    let ground = Ground::new(harness, variant, cell).await;
    let one = ground.attempt(variant, cell).await;
    assert!(one.is_done(), "{cell}: {one:?}");
    let other = ground.attempt(variant, cell).await;
    judge(&ground, variant, [&one, &other], cell).await;
    Cell::Passed
}

/// Asserts that one of the two had an effect.
async fn judge(ground: &Ground, variant: &Variant, answers: [&Answer; 2], cell: &str) {
    ground.judge(Some(&Answer::Done), cell).await;
    let done = answers.iter().filter(|answer| answer.is_done()).count();
    let fits = match variant.0.on_repeat {
        _ if variant.0.is_cleanup() => done == 1,
        OnRepeat::Replayed => done == 2,
        OnRepeat::Refused(code) => done == 1 && answers.iter().any(|it| it.is_refused(code)),
    };
    assert!(fits, "{cell}: {answers:?}");
}

fn has_key(variant: &Variant) -> bool {
    variant.0.method == "reserve" || variant.0.scenario == "two lines and a key"
}

const NO_KEY: Cell = Cell::CannotApply("it has no key");

/// Sends the request with another id, another number of pots and this key.
async fn send_another(
    ground: &Ground,
    variant: &Variant,
    key: &str,
    pots: i64,
) -> Result<(), Error> {
    let fixture = &ground.fixture;
    let (pot, mug) = (fixture.pot(), fixture.mug());
    let shop = ground.shop();
    if variant.0.method == "checkout" {
        let lines = [Line::new(pot, units(pots)), Line::new(mug, units(1))];
        let cart = Checkout::new(lines).unwrap().with_order_id(OrderId::new());
        let cart = cart.with_customer(fixture.customer.clone());
        return shop
            .checkout(cart.with_idempotency_key(key))
            .await
            .map(drop);
    }
    let reserve = Reserve::new([(pot, units(pots)), (mug, units(1))]).unwrap();
    let reserve = reserve.with_reservation_id(ReservationId::new());
    let reserve = reserve
        .with_customer(fixture.customer.clone())
        .for_duration(std::time::Duration::from_secs(600));
    shop.reserve(reserve.with_idempotency_key(key))
        .await
        .map(drop)
}

/// Another cart with the same key is refused, and the first one stays.
pub async fn another_cart(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !has_key(variant) {
        return NO_KEY;
    }
    let ground = Ground::new(harness, variant, cell).await;
    let answer = ground.attempt(variant, cell).await;
    let key = ground.fixture.key.clone();
    let refusal = send_another(&ground, variant, &key, 3).await.unwrap_err();
    assert_eq!(refusal.code(), "idempotency-mismatch", "{cell}: {refusal}");
    ground.judge(Some(&answer), cell).await;
    Cell::Passed
}

/// The same cart with another key is another order or reservation, once.
pub async fn another_key(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    if !has_key(variant) {
        return NO_KEY;
    }
    let ground = Ground::new(harness, variant, cell).await;
    assert!(ground.attempt(variant, cell).await.is_done(), "{cell}");
    let once = ground.describe().await;
    send_another(&ground, variant, "another", 2).await.unwrap();
    let twice = ground.describe().await;
    assert_ne!(once, twice, "{cell}: one effect for two requests");
    send_another(&ground, variant, "another", 2).await.unwrap();
    assert_eq!(ground.describe().await, twice, "{cell}: a third effect");
    ground.check(cell).await;
    Cell::Passed
}
