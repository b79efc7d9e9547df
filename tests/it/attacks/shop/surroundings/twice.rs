//! 18: the same request twice.

use optilock::inventory::{Adjustment, Inventory, Line, OrderId, PgInventory, ReservationId};

use super::{
    Answer, Bench, Case, Cell, Subject,
    operations::{self, Again},
};
use crate::support::goods::units;

const CHANGES_NOTHING: Cell = Cell::CannotApply("it changes nothing");

pub async fn at_once(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if !subject.operation.writes() {
        return CHANGES_NOTHING;
    }
    for _ in 0..4 {
        let made = bench.case(subject).await;
        let (one, other) = tokio::join!(
            bench.attempt(subject, &made.0, cell),
            bench.attempt(subject, &made.0, cell)
        );
        bench.judge(subject, &made, Some(&Answer::Done), cell).await;
        let done = [&one, &other].map(Answer::is_done);
        let fits = match subject.operation.again {
            _ if subject.operation.is_cleanup() => done[0] || done[1],
            Again::Replayed => done[0] && done[1],
            Again::Refused(code) => {
                done[0] != done[1] && (one.is_refused(code) || other.is_refused(code))
            }
        };
        assert!(fits, "{cell}: {one:?} and {other:?}");
    }
    Cell::Held
}

pub async fn later(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if !subject.operation.writes() {
        return CHANGES_NOTHING;
    }
    let made = bench.case(subject).await;
    let answer = bench.attempt(subject, &made.0, cell).await;
    bench.judge(subject, &made, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let again = bench.attempt(subject, &made.0, cell).await;
    // Nothing more is stored.
    bench.judge(subject, &made, Some(&Answer::Done), cell).await;
    let fits = match subject.operation.again {
        _ if subject.operation.is_cleanup() => matches!(again, Answer::Nothing),
        Again::Replayed => again.is_done(),
        Again::Refused(code) => again.is_refused(code),
    };
    assert!(fits, "{cell}: {again:?}");
    Cell::Held
}

/// After another actor undid what it did: it has no second effect.
pub async fn undone(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let undone = ["checkout", "reserve", "adjust_stock", "return_items"];
    if !subject.operation.writes() {
        return CHANGES_NOTHING;
    }
    if !undone.contains(&subject.operation.method) {
        return Cell::CannotApply(
            "it names no request: made again, without the version that it expects, it is another one",
        );
    }
    let pool = &bench.db.pool;
    let (case, _) = bench.case(subject).await;
    let answer = bench.attempt(subject, &case, cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let other = PgInventory::new(pool.clone());
    match subject.operation.method {
        "checkout" => other.cancel(case.order, "by another").await.map(drop),
        "reserve" => other.release(operations::reservation(&case)).await,
        _ => {
            let back = Adjustment::new(case.pot(), -1, "by another").unwrap();
            other.adjust_stock(back).await.map(drop)
        }
    }
    .unwrap();
    let before = case.stored(pool).await;
    let again = bench.attempt(subject, &case, cell).await;
    assert!(again.is_done(), "{cell}: {again:?}");
    assert_eq!(case.stored(pool).await, before, "{cell}: a second effect");
    Cell::Held
}

/// The request under another id and, if it is `same`, the same key; with `pots` pots.
async fn another(
    bench: &Bench,
    subject: &Subject,
    case: &Case,
    same: bool,
    pots: i64,
) -> Result<(), optilock::inventory::Error> {
    let shop = bench.shop(subject);
    let key = if same {
        case.key.clone()
    } else {
        format!("{} of another", case.key)
    };
    if subject.operation.method == "checkout" {
        let lines = [(case.pot(), pots), (case.mug(), 1)];
        let cart = lines.map(|(sku, count)| Line::new(sku, units(count)));
        let cart = optilock::inventory::Checkout::new(cart).unwrap();
        let cart = cart
            .with_order_id(OrderId::new())
            .with_customer(case.customer.clone())
            .with_idempotency_key(key);
        return shop.checkout(cart).await.map(drop);
    }
    let mut reserve = operations::reserve(case).with_reservation_id(ReservationId::new());
    if pots != 2 {
        let lines = [(case.pot(), units(pots)), (case.mug(), units(1))];
        reserve = optilock::inventory::Reserve::new(lines)
            .unwrap()
            .with_customer(case.customer.clone());
    }
    shop.reserve(reserve.with_idempotency_key(key))
        .await
        .map(drop)
}

fn has_key(subject: &Subject) -> bool {
    subject.operation.method == "reserve" || subject.operation.way == "two lines and a key"
}

const NO_KEY: Cell = Cell::CannotApply("it has no key");

/// One key and another cart: refused, and the first one stays.
pub async fn another_cart(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if !has_key(subject) {
        return NO_KEY;
    }
    let made = bench.case(subject).await;
    assert!(
        bench.attempt(subject, &made.0, cell).await.is_done(),
        "{cell}"
    );
    let refusal = another(bench, subject, &made.0, true, 3).await.unwrap_err();
    assert_eq!(refusal.code(), "idempotency-mismatch", "{cell}: {refusal}");
    bench.judge(subject, &made, Some(&Answer::Done), cell).await;
    Cell::Held
}

/// Another key and the same cart: another order, or reservation.
pub async fn another_key(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    if !has_key(subject) {
        return NO_KEY;
    }
    let (case, _) = bench.case(subject).await;
    assert!(
        bench.attempt(subject, &case, cell).await.is_done(),
        "{cell}"
    );
    let once = case.stored(&bench.db.pool).await;
    another(bench, subject, &case, false, 2).await.unwrap();
    let twice = case.stored(&bench.db.pool).await;
    assert_ne!(once, twice, "{cell}: one effect for two requests");
    another(bench, subject, &case, false, 2).await.unwrap();
    assert_eq!(
        case.stored(&bench.db.pool).await,
        twice,
        "{cell}: a third effect"
    );
    Cell::Held
}
