//! Every request that is built from values: lines are merged or refused, a text is kept or refused.

use std::collections::BTreeMap;

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Error, Line, Money, OrderId, Quantity, Reserve, ReturnRequest, Sku,
    },
};
use proptest::{
    collection::vec, option, prop_assert, prop_assert_eq, prop_oneof, strategy::Strategy,
    test_runner::TestCaseError,
};
use uuid::Uuid;

use super::{
    clear::is_invalid,
    numbers::numbers,
    texts::{near, texts},
};
use crate::support::goods::sku;

type Outcome = Result<(), TestCaseError>;

/// Few products, so that lines meet, and quantities whose sums pass the limit.
fn units() -> impl Strategy<Value = (Sku, Quantity)> {
    let quantity = prop_oneof![
        1..4_i64,
        1..=1_000_000_000_i64,
        999_999_998..=1_000_000_000_i64
    ];
    let product = "[ab]|[a-z]|Ñ|'|🏺";
    (product, quantity).prop_map(|(name, units)| (sku(&name), Quantity::new(units).unwrap()))
}

fn many<T: std::fmt::Debug>(
    one: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![600 => vec(one.clone(), 0..8), 1 => vec(one, 995..1_005)]
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let expected = |(units, price, version): ((Sku, Quantity), Option<i64>, Option<i64>)| {
        let mut line = Line::new(units.0, units.1);
        if let Some(price) = price {
            let price = Money::new(price, "MXN".parse().unwrap());
            line = line.expecting_price(price.unwrap());
        }
        if let Some(version) = version {
            line = line.expecting_version(Version::new(version).unwrap());
        }
        line
    };
    let price = option::weighted(0.1, 0..3_i64);
    let version = option::weighted(0.1, 1..3_i64);
    many((units(), price, version).prop_map(expected).boxed())
}

/// The sum of each product's units, sorted.
fn sums(lines: &[(Sku, Quantity)]) -> BTreeMap<Sku, i64> {
    let mut sums = BTreeMap::new();
    for (sku, quantity) in lines {
        *sums.entry(sku.clone()).or_default() += quantity.get();
    }
    sums
}

/// Lines are merged, if there are at most a thousand, no sum passes the limit, and none contradict.
fn are_merged(
    asked: &[(Sku, Quantity)],
    built: Result<Vec<(Sku, Quantity)>, Error>,
    contradict: bool,
) -> Outcome {
    let sums = sums(asked);
    let fits = !contradict
        && (1..=1_000).contains(&asked.len())
        && sums.values().all(|it| *it <= 1_000_000_000);
    match built {
        Ok(built) => {
            prop_assert!(fits);
            let built = built
                .into_iter()
                .map(|(sku, quantity)| (sku, quantity.get()));
            prop_assert_eq!(
                built.collect::<Vec<_>>(),
                sums.into_iter().collect::<Vec<_>>()
            );
            Ok(())
        }
        Err(refused) => {
            prop_assert!(!fits, "{}", refused);
            is_invalid(refused, "")
        }
    }
}

fn contradict(lines: &[Line]) -> bool {
    lines.iter().any(|line| {
        let mut others = lines.iter().filter(|it| it.sku() == line.sku());
        others.any(|it| {
            let prices = it.expected_price().zip(line.expected_price());
            let versions = it.expected_version().zip(line.expected_version());
            prices.is_some_and(|(a, b)| a != b) || versions.is_some_and(|(a, b)| a != b)
        })
    })
}

fn a_checkout(lines: Vec<Line>) -> Outcome {
    let units = |line: &Line| (line.sku().clone(), line.quantity());
    let asked: Vec<_> = lines.iter().map(units).collect();
    let contradicts = contradict(&lines);
    let built = Checkout::new(lines);
    let built = built.map(|built| built.lines().iter().map(units).collect());
    are_merged(&asked, built, contradicts)
}

fn a_reserve(lines: Vec<(Sku, Quantity)>) -> Outcome {
    let built = Reserve::new(lines.clone());
    are_merged(&lines, built.map(|built| built.lines().to_vec()), false)
}

/// A text of 1 to 500 bytes without control characters.
pub fn is_text(text: &str) -> bool {
    let controls = text.chars().any(char::is_control);
    !text.trim().is_empty() && text.len() <= 500 && !controls
}

fn a_return((lines, reason): (Vec<(Sku, Quantity)>, String)) -> Outcome {
    let built = ReturnRequest::new(OrderId::new(), lines.clone(), reason.clone());
    if !is_text(&reason) {
        return is_invalid(built.expect_err("the reason is no text"), &reason);
    }
    are_merged(&lines, built.map(|built| built.lines().to_vec()), false)
}

fn an_adjustment((delta, reason, id): (i64, String, u128)) -> Outcome {
    let most = 1_000_000_000_000;
    let valid = is_text(&reason) && delta != 0 && (-most..=most).contains(&delta);
    match Adjustment::new(sku("pot"), delta, reason.clone()) {
        Ok(built) => {
            let built = built.with_id(Uuid::from_u128(id));
            prop_assert!(valid);
            prop_assert_eq!((built.delta(), built.reason()), (delta, &*reason));
            prop_assert_eq!(built.id(), Uuid::from_u128(id));
            Ok(())
        }
        Err(refused) => {
            prop_assert!(!valid, "{}", refused);
            is_invalid(refused, &reason)
        }
    }
}

fuzz! {
    checkout_lines: lines() => a_checkout;
    reserve_lines: many(units().boxed()) => a_reserve;
    return_request: (vec(units(), 0..5), near("[a-z ]{1,500}")) => a_return;
    adjustment: (numbers(), texts(), proptest::num::u128::ANY) => an_adjustment;
}
