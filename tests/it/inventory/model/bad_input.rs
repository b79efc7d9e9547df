//! An invalid value is never built, and the error names the reason.

use std::fmt::Debug;

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Currency, Error, ErrorKind, Line, Money, OrderId, Quantity, Sku,
        Stock,
    },
};
use proptest::prelude::{any, prop_assert, proptest};

use crate::support::goods::{pesos, sku, units};

#[track_caller]
fn assert_invalid<T: Debug>(result: Result<T, impl Into<Error>>, text: &str) {
    let error: Error = result.map_err(Into::into).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert_eq!((error.http_status(), error.code()), (400, "invalid"));
    assert!(
        error.to_string().contains(text),
        "{error} does not contain {text:?}"
    );
}

#[test]
fn an_invalid_sku_is_refused() {
    assert_invalid(Sku::new(""), "sku is empty");
    assert_invalid(Sku::new("x".repeat(201)), "201 bytes long, the most is 200");
    assert_invalid(Sku::new("é".repeat(101)), "202 bytes long");
    assert_invalid(Sku::new("a\0b"), "control character");
    assert_invalid(Sku::new("a\nb"), "control character");
    assert_invalid(Sku::new("\u{85}"), "control character");
    for spaced in [" mug", "mug ", " ", "\u{a0}mug", "mug\u{2003}"] {
        assert_invalid(Sku::new(spaced), "white space");
    }
}

#[test]
fn a_valid_sku_keeps_its_text() {
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
fn a_quantity_or_a_stock_outside_its_range_is_refused() {
    for bad in [0, -1, i64::MIN, 1_000_000_001, i64::MAX] {
        assert_invalid(
            Quantity::new(bad),
            &format!("quantity {bad} is not within 1 and 1000000000"),
        );
    }
    assert_eq!(
        (Quantity::ONE, Quantity::MAX),
        (units(1), units(1_000_000_000))
    );
    for bad in [-1, i64::MIN, 1_000_000_000_001, i64::MAX] {
        assert_invalid(
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
fn an_invalid_currency_or_amount_is_refused() {
    for bad in ["", "MX", "MXNN", "mxn", "M N", "ÄÖ", "M\0N"] {
        assert_invalid(bad.parse::<Currency>(), "is not three capital letters");
    }
    assert_invalid(
        Money::new(-1, "MXN".parse().unwrap()),
        "money -1 is negative",
    );
}

#[test]
fn arithmetic_on_money_is_checked() {
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
fn an_invalid_adjustment_is_refused() {
    assert_invalid(Adjustment::new(sku("mug"), 0, "nothing"), "a delta of 0");
    for bad in [i64::MIN, i64::MAX, 1_000_000_000_001, -1_000_000_000_001] {
        assert_invalid(
            Adjustment::new(sku("mug"), bad, "much"),
            "beyond 1000000000000",
        );
    }
    assert_invalid(Adjustment::new(sku("mug"), 1, " "), "reason is empty");
    assert_invalid(
        Adjustment::new(sku("mug"), 1, "x".repeat(501)),
        "reason is 501 bytes long, the most is 500",
    );
    assert_invalid(
        Adjustment::new(sku("mug"), 1, "a\0"),
        "reason holds a control character",
    );
}

fn line(name: &str, quantity: i64) -> Line {
    Line::new(sku(name), units(quantity))
}

fn lines(count: u32) -> impl Iterator<Item = Line> {
    (0..count).map(|number| line(&format!("sku-{number}"), 1))
}

fn version(number: i64) -> Version {
    Version::new(number).unwrap()
}

#[test]
fn a_checkout_has_between_1_and_1000_lines() {
    assert_invalid(Checkout::new([]), "checkout has no lines");
    assert_invalid(Checkout::new(lines(10_000)), "more than 1000 lines");
    // An infinite iterator is cut off.
    assert_invalid(
        Checkout::new(std::iter::repeat_with(|| line("mug", 1))),
        "more than 1000 lines",
    );
    let largest = Checkout::new(lines(1_000)).unwrap();
    assert_eq!(largest.lines().len(), 1_000);
}

#[test]
fn contradicting_lines_of_one_product_are_refused() {
    assert_invalid(
        Checkout::new([line("mug", 1_000_000_000), line("mug", 1)]),
        "quantity 1000000001 is not within",
    );
    assert_invalid(
        Checkout::new([
            line("mug", 1).expecting_version(version(1)),
            line("mug", 1).expecting_version(version(2)),
        ]),
        "two lines of mug expect different versions",
    );
    assert_invalid(
        Checkout::new([
            line("mug", 1).expecting_price(pesos(1)),
            line("mug", 1).expecting_price(pesos(2)),
        ]),
        "two lines of mug expect different prices",
    );
}

#[test]
fn lines_of_one_product_are_merged() {
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
}

#[test]
fn an_invalid_order_id_is_refused() {
    for bad in [
        "",
        "7",
        "not-a-uuid",
        "01890000-0000-0000-0000-00000000000g",
    ] {
        assert_invalid(bad.parse::<OrderId>(), "is not a UUID");
    }
    let id = OrderId::new();
    assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
}

proptest! {
    /// Every text either reads back unchanged from its SKU or is refused as invalid.
    #[test]
    fn any_text_is_a_sku_or_is_refused(text in any::<String>()) {
        match Sku::new(text.as_str()) {
            Ok(sku) => prop_assert!(sku.as_str() == text && !text.contains('\0') && text.len() <= 200),
            Err(error) => prop_assert!(error.what() == "sku" && Error::from(error).code() == "invalid"),
        }
    }

    #[test]
    fn a_number_is_accepted_within_its_range_only(number in any::<i64>()) {
        prop_assert!(Quantity::new(number).is_ok() == (1..=1_000_000_000).contains(&number));
        prop_assert!(Stock::new(number).is_ok() == (0..=1_000_000_000_000).contains(&number));
        prop_assert!(Money::new(number, Currency::NONE).is_ok() == (number >= 0));
    }
}
