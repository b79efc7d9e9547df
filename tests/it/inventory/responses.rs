//! What a handler of axum answers for an error of the inventory.

use std::{collections::BTreeSet, time::Duration};

use optilock::{
    Conflict, RetryPolicy, Version,
    inventory::{
        BoxError, Error, ErrorKind, HoldState, OrderId, OrderStatus, ReservationId, Shortage,
    },
    with_retry,
};
use serde_json::{Value, json};

use crate::{
    postgres::responses::{SECRET, errors, lost, raised},
    support::{
        bank::{Bank, PLACES},
        goods::{pesos, sku, units},
        responses::Answer,
    },
};

fn conflict() -> Conflict {
    let (read, found) = (Version::new(5).unwrap(), Version::new(6).unwrap());
    Conflict::new("product", "pot", read, found)
}

fn shortages() -> (Vec<Shortage>, Value) {
    let shortage = Shortage::new(sku("pot"), units(3), -1);
    let facts = json!({ "shortages": [{ "sku": "pot", "requested": 3, "available": -1 }] });
    (vec![shortage], facts)
}

/// Errors and the facts of their bodies.
fn refused(order: OrderId, reservation: ReservationId) -> Vec<(Error, Value)> {
    let (lines, short) = shortages();
    let pot = json!({ "entity": "product", "id": "pot" });
    vec![
        (
            conflict().into(),
            json!({ "entity": "product", "id": "pot", "expected": 5, "actual": 6 }),
        ),
        (Error::not_found("product", "pot"), pot.clone()),
        (Error::already_exists("product", "pot"), pot.clone()),
        (Error::archived("product", "pot"), pot),
        (Error::insufficient_stock(lines.clone()), short.clone()),
        (Error::return_exceeds_order(lines), short),
        (
            Error::price_changed(sku("pot"), pesos(1_000), pesos(1_200)),
            json!({
                "sku": "pot", "expected": { "minor": 1_000, "currency": "MXN" },
                "actual": { "minor": 1_200, "currency": "MXN" }
            }),
        ),
        (
            Error::stock_held(sku("pot"), 3, 4),
            json!({ "sku": "pot", "counted": 3, "reserved": 4 }),
        ),
        (Error::product_paused(sku("pot")), json!({ "sku": "pot" })),
        (
            Error::invalid("limit", "must be \"1\" to 100"),
            json!({ "what": "limit", "why": "must be \"1\" to 100" }),
        ),
        (
            Error::idempotency_mismatch("order", order, Some("key")),
            json!({ "entity": "idempotency key", "id": "key" }),
        ),
        (
            Error::invalid_order_state(order, OrderStatus::Paid),
            json!({ "entity": "order", "id": order.to_string(), "state": "paid" }),
        ),
        (
            Error::reservation_closed(reservation, HoldState::Expired),
            json!({ "entity": "reservation", "id": reservation.to_string(), "state": "expired" }),
        ),
        (Error::busy(None), json!({})),
        (Error::suppressed("order", order), json!({})),
        (Error::hook(order, SECRET.into()), json!({})),
    ]
}

#[tokio::test]
async fn every_kind_has_its_status_its_code_and_its_facts() {
    let bank = Bank::open(PLACES[0]).await;
    let (order, reservation) = (OrderId::new(), ReservationId::new());
    let mut all = refused(order, reservation);
    let set_back = ", CONSTRAINT = 'movements_pkey', TABLE = 'movements'";
    for error in [
        raised(&bank.pool, "40001", "").await,
        raised(&bank.pool, "53300", "").await,
        raised(&bank.pool, "42601", "").await,
        raised(&bank.pool, "23505", set_back).await,
        lost(),
    ] {
        all.push((error.into(), json!({})));
    }
    let mut seen = BTreeSet::new();
    for (error, facts) in all {
        let (kind, status, code) = (error.kind(), error.http_status(), error.code());
        seen.insert(format!("{kind:?}"));
        let busy = error.is_busy();
        let answer = Answer::of(error).await;
        assert_facts(&answer, status, code, &facts);
        assert_eq!(answer.header("retry-after").is_some(), busy, "{kind:?}");
        for secret in [SECRET, "db-7", "SELECT", "movements"] {
            assert!(!answer.text.contains(secret), "{kind:?}: {answer:?}");
        }
    }
    // The kinds of the host's own rows: see the next test.
    let rows = [
        "RepeatedId",
        "TooManyRows",
        "VersionExhausted",
        "SchemaMismatch",
    ];
    seen.extend(rows.map(str::to_owned));
    let all = ErrorKind::ALL.iter().map(|kind| format!("{kind:?}"));
    assert_eq!(seen, all.collect());
}

fn assert_facts(answer: &Answer, status: u16, code: &str, facts: &Value) {
    let mut body = answer.problem(status, code);
    let members = body.as_object_mut().unwrap();
    for name in ["type", "title", "status", "detail", "code"] {
        members.remove(name);
    }
    assert_eq!(body, *facts, "{answer:?}");
}

/// An error of the host's own rows gives the same response on both floors.
#[tokio::test]
async fn rows_of_the_host_answer_as_on_their_own_floor() {
    let [one, other] = [Bank::open(PLACES[0]).await, Bank::open(PLACES[0]).await];
    let both = errors(&one).await.into_iter().zip(errors(&other).await);
    for (error, same) in both {
        let kind = error.kind();
        let (here, there) = (Answer::of(error).await, Answer::of(Error::from(same)).await);
        assert_eq!(
            (here.status, &here.headers),
            (there.status, &there.headers),
            "{kind:?}"
        );
        let (mut here, mut there) = (here.json(), there.json());
        // The floors word a taken key differently.
        for body in [&mut here, &mut there] {
            body.as_object_mut().unwrap().remove("detail");
        }
        assert_eq!(here, there, "{kind:?}");
    }
}

/// The class of a hook's error decides, and its text is not shown.
#[tokio::test]
async fn a_failed_hook_answers_by_the_class_of_its_error() {
    let busy = Error::busy(Some(Duration::from_secs(7)));
    let unknown = Error::busy(None).into_unknown();
    let of_hook: [(BoxError, u16, Option<&str>); 4] = [
        (Box::new(conflict()), 409, None),
        (Box::new(busy), 503, Some("7")),
        (Box::new(unknown), 503, None),
        (SECRET.into(), 500, None),
    ];
    for (source, status, retry_after) in of_hook {
        let answer = Answer::of(Error::hook(OrderId::new(), source)).await;
        answer.bare_problem(status, "hook");
        assert_eq!(answer.header("retry-after"), retry_after);
        assert!(!answer.text.contains("db-7"), "{answer:?}");
    }
}

/// The client learns what the last attempt met, and not the number of attempts.
#[tokio::test]
async fn exhausted_retries_answer_as_the_last_attempt() {
    let policy = RetryPolicy::new().with_max_attempts(2);
    let attempts = async || {
        let refused = with_retry(&policy, async |_| Err::<(), _>(Error::from(conflict())));
        refused.await.unwrap_err()
    };
    let expected = Answer::of(conflict()).await.text;
    assert_eq!(Answer::of(attempts().await).await.text, expected);
    let exhausted = Error::from(attempts().await);
    assert!(exhausted.exhausted().is_some(), "{exhausted:?}");
    assert_eq!(Answer::of(exhausted).await.text, expected);
}
