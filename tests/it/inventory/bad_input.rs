//! What can't be right can't be built, and the error says why.

use optilock::inventory::{
    Adjustment, Checkout, Currency, Error, Line, Money, OrderId, Quantity, Sku, Stock,
};
use proptest::prelude::{any, prop_assert, proptest};

use crate::support::goods::{pesos, sku, units};

fn refused<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    let error = result.expect_err(text);
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!((error.http_status(), error.code()), (400, "invalid"));
    assert!(
        error.to_string().contains(text),
        "{error} does not say {text:?}"
    );
}

#[test]
fn skus() {
    refused(Sku::new(""), "sku is empty");
    refused(Sku::new("x".repeat(201)), "201 bytes long, the most is 200");
    refused(Sku::new("é".repeat(101)), "202 bytes long");
    refused(Sku::new("a\0b"), "control character");
    refused(Sku::new("a\nb"), "control character");
    refused(Sku::new("\u{85}"), "control character");
    for spaced in [" mug", "mug ", " ", "\u{a0}mug", "mug\u{2003}"] {
        refused(Sku::new(spaced), "white space");
    }
    for good in [
        "m",
        "mug 7",
        "ñandú",
        "🏺",
        "'; --",
        "\u{202e}x",
        &"x".repeat(200),
    ] {
        assert_eq!(Sku::new(good).unwrap().as_str(), good);
        assert_eq!(good.parse::<Sku>().unwrap().to_string(), good);
    }
}

#[test]
fn quantities_and_stocks() {
    for bad in [0, -1, i64::MIN, 1_000_000_001, i64::MAX] {
        refused(
            Quantity::new(bad),
            &format!("quantity {bad} is not within 1 and 1000000000"),
        );
    }
    assert_eq!(
        (Quantity::ONE, Quantity::MAX),
        (units(1), units(1_000_000_000))
    );
    for bad in [-1, i64::MIN, 1_000_000_000_001, i64::MAX] {
        refused(
            Stock::new(bad),
            &format!("stock {bad} is not within 0 and 1000000000000"),
        );
    }
    assert_eq!(
        (Stock::ZERO.get(), Stock::MAX.get()),
        (0, 1_000_000_000_000)
    );
}

#[test]
fn money() {
    for bad in ["", "MX", "MXNN", "mxn", "M N", "ÄÖ", "M\0N"] {
        refused(bad.parse::<Currency>(), "is not three capital letters");
    }
    refused(
        Money::new(-1, "MXN".parse().unwrap()),
        "money -1 is negative",
    );
    assert_eq!(pesos(i64::MAX).times(units(2)), None);
    assert_eq!(pesos(i64::MAX).plus(pesos(1)), None);
    assert_eq!(pesos(1).plus(Money::zero("USD".parse().unwrap())), None);
    assert_eq!(
        pesos(7).times(units(3)).unwrap().plus(pesos(4)),
        Some(pesos(25))
    );
    assert_eq!(pesos(5).to_string(), "0.05 MXN");
}

#[test]
fn adjustments() {
    refused(Adjustment::new(sku("mug"), 0, "nothing"), "a delta of 0");
    for bad in [i64::MIN, i64::MAX, 1_000_000_000_001, -1_000_000_000_001] {
        refused(
            Adjustment::new(sku("mug"), bad, "much"),
            "beyond 1000000000000",
        );
    }
    refused(Adjustment::new(sku("mug"), 1, " "), "reason is empty");
    refused(
        Adjustment::new(sku("mug"), 1, "x".repeat(501)),
        "reason is 501 bytes long, the most is 500",
    );
    refused(
        Adjustment::new(sku("mug"), 1, "a\0"),
        "reason holds a control character",
    );
}

#[test]
fn checkouts() {
    let line = |name: &str, quantity| Line::new(sku(name), units(quantity));
    refused(Checkout::new([]), "checkout has no lines");
    refused(
        Checkout::new((0..10_000).map(|number| line(&format!("sku-{number}"), 1))),
        "more than 1000 lines",
    );
    // Nobody waits for a cart that never ends.
    refused(
        Checkout::new(std::iter::repeat_with(|| line("mug", 1))),
        "more than 1000 lines",
    );
    refused(
        Checkout::new([line("mug", 1_000_000_000), line("mug", 1)]),
        "quantity 1000000001 is not within",
    );
    let version = |number| optilock::Version::new(number).unwrap();
    refused(
        Checkout::new([
            line("mug", 1).expecting_version(version(1)),
            line("mug", 1).expecting_version(version(2)),
        ]),
        "two lines of mug expect different versions",
    );
    refused(
        Checkout::new([
            line("mug", 1).expecting_price(pesos(1)),
            line("mug", 1).expecting_price(pesos(2)),
        ]),
        "two lines of mug expect different prices",
    );
    let merged = Checkout::new([
        line("mug", 1).expecting_price(pesos(1)),
        line("jug", 1),
        line("mug", 2).expecting_version(version(3)),
    ])
    .unwrap();
    assert_eq!(merged.lines().len(), 2);
    let mug = &merged.lines()[1];
    assert_eq!(
        (mug.quantity(), mug.expected_price(), mug.expected_version()),
        (units(3), Some(pesos(1)), Some(version(3)))
    );
    assert_eq!(
        Checkout::new((0..1_000).map(|number| line(&format!("sku-{number}"), 1)))
            .unwrap()
            .lines()
            .len(),
        1_000
    );
}

#[test]
fn order_ids() {
    for bad in [
        "",
        "7",
        "not-a-uuid",
        "01890000-0000-0000-0000-00000000000g",
    ] {
        refused(bad.parse::<OrderId>(), "is not a UUID");
    }
    let id = OrderId::new();
    assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
}

proptest! {
    /// Whatever text comes in: a SKU that reads back as it was, or a clear refusal.
    #[test]
    fn any_text(text in any::<String>()) {
        match Sku::new(text.as_str()) {
            Ok(sku) => prop_assert!(sku.as_str() == text && !text.contains('\0') && text.len() <= 200),
            Err(error) => prop_assert!(error.code() == "invalid"),
        }
    }

    #[test]
    fn any_number(number in any::<i64>()) {
        prop_assert!(Quantity::new(number).is_ok() == (1..=1_000_000_000).contains(&number));
        prop_assert!(Stock::new(number).is_ok() == (0..=1_000_000_000_000).contains(&number));
        prop_assert!(Money::new(number, Currency::NONE).is_ok() == (number >= 0));
    }
}
