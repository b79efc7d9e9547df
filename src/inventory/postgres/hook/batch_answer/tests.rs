use chrono::Utc;

use super::*;
use crate::{
    Conflict, Version,
    inventory::model::{Money, Order, OrderLine, Quantity, Sku},
};

/// Returns checkouts with their number as the context.
fn accepted(count: u32) -> Vec<Accepted> {
    (0..count)
        .map(|number| {
            let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
            let line = OrderLine::new(Sku::new("pot").unwrap(), Quantity::ONE, price);
            let order = Order::new(OrderId::new(), vec![line], Utc::now()).unwrap();
            Accepted::new(order, vec![]).with_context(number)
        })
        .collect()
}

fn conflict() -> BoxError {
    Conflict::new("account", 7, Version::FIRST, Version::FIRST).into()
}

fn unknown() -> BoxError {
    Error::from(sqlx::Error::PoolClosed).into_unknown().into()
}

/// Returns the indices of the checkouts that are taken out, with their errors.
fn taken_out(answer: BatchAnswer) -> Vec<(usize, Error)> {
    match answer {
        BatchAnswer::TakenOut(taken_out) => taken_out
            .into_iter()
            .map(|taken_out| (taken_out.index, taken_out.error))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn failed(answer: BatchAnswer) -> FailedCall {
    match answer {
        BatchAnswer::Failed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

fn texts(error: &Error) -> Vec<String> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
        .map(ToString::to_string)
        .collect()
}

#[test]
fn without_refusals_the_batch_is_accepted() {
    let answer = BatchAnswer::of(Ok(Refusals::none()), &accepted(3));
    assert!(matches!(answer, BatchAnswer::Accepted), "{answer:?}");
}

#[test]
fn refused_checkouts_are_taken_out_in_the_order_of_arrival() {
    let batch = accepted(4);
    let mut refusals = Refusals::of(batch[3].order.id, "barred");
    refusals.refuse(batch[1].order.id, conflict());
    refusals.refuse(batch[3].order.id, "a second time");
    assert_eq!(refusals.iter().count(), 3);
    let taken_out = taken_out(BatchAnswer::of(Ok(refusals), &batch));
    let [(1, contended), (3, barred)] = &taken_out[..] else {
        panic!("{taken_out:?}");
    };
    assert_eq!(contended.class(), Class::Conflict);
    assert_eq!(barred.class(), Class::Permanent);
    let message = format!("the hook failed for order {}", batch[3].order.id);
    assert_eq!(texts(barred), [message, "barred".to_owned()]);
}

#[test]
fn a_failed_call_has_the_class_of_its_error() {
    let batch = accepted(2);
    let busy = || -> BoxError { sqlx::Error::PoolTimedOut.into() };
    for (error, class) in [
        ("no rows".into(), Class::Permanent),
        (conflict(), Class::Conflict),
        (busy(), busy().class()),
        (unknown(), Class::Unknown),
    ] {
        let text = error.to_string();
        let failed = failed(BatchAnswer::of(Err(error), &batch));
        assert_eq!(failed.class(), class, "{text}");
        for accepted in &batch {
            let error = failed.error_of(accepted.order.id);
            assert_eq!(error.class(), class, "{text}");
            let texts = texts(&error);
            assert!(texts[0].contains(&accepted.order.id.to_string()));
            assert_eq!(texts[2], text);
        }
    }
}

#[test]
fn a_refusal_with_an_unknown_outcome_fails_the_whole_call() {
    let batch = accepted(3);
    let mut refusals = Refusals::of(OrderId::new(), "not in the batch");
    refusals.refuse(batch[2].order.id, unknown());
    let failed = failed(BatchAnswer::of(Ok(refusals), &batch));
    assert_eq!(failed.class(), Class::Unknown);
    assert!(failed.error_of(batch[0].order.id).is_unknown());
}

#[test]
fn the_refusal_of_an_order_that_is_not_in_the_batch_fails_the_call() {
    let other = OrderId::new();
    let failed = failed(BatchAnswer::of(
        Ok(Refusals::of(other, "barred")),
        &accepted(1),
    ));
    assert_eq!(failed.class(), Class::Permanent);
    let texts = texts(&failed.error_of(other));
    let expected = format!("the hook refused order {other}, which is not in the batch");
    assert_eq!(texts.last().unwrap(), &expected);
}
