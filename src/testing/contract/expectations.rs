//! Clauses about the versions and prices that the lines of a checkout expect.

use crate::inventory::{Checkout, Inventory, Line, Money};

use crate::testing::contract::goods::{add, pesos, sku, stock_of, units};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_line_expects_a_version_or_a_price(shop).await;
}

async fn a_line_expects_a_version_or_a_price(shop: &dyn Inventory) {
    let seen = add(shop, "expect", 10).await;
    add(shop, "expect-too", 10).await;
    let line = || Line::new(sku("expect"), units(1));
    let other = || Line::new(sku("expect-too"), units(1));
    let checkout = async |lines: Vec<Line>| shop.checkout(Checkout::new(lines).unwrap()).await;
    checkout(vec![
        line()
            .expecting_version(seen.version)
            .expecting_price(seen.price),
    ])
    .await
    .unwrap();
    // A sale changes the version and keeps the price.
    checkout(vec![line().expecting_price(seen.price)])
        .await
        .unwrap();
    checkout(vec![line().expecting_price(seen.price), other()])
        .await
        .unwrap();
    for lines in [
        vec![line().expecting_version(seen.version)],
        vec![line().expecting_version(seen.version), other()],
    ] {
        let stale = checkout(lines).await.unwrap_err();
        assert_eq!(
            stale.to_string(),
            "product expect moved on: expected version 1, found 4"
        );
        assert_eq!(stale.http_status(), 409);
    }
    let mut changed = shop.product(&sku("expect")).await.unwrap();
    changed.price = pesos(1_100);
    shop.update_product(&changed).await.unwrap();
    for lines in [
        vec![line().expecting_price(seen.price)],
        vec![line().expecting_price(seen.price), other()],
    ] {
        let dearer = checkout(lines).await.unwrap_err();
        assert_eq!(
            dearer.to_string(),
            "the price of expect changed from 10.00 MXN to 11.00 MXN"
        );
        assert_eq!(dearer.http_status(), 409);
    }
    changed = shop.product(&sku("expect")).await.unwrap();
    changed.price = Money::new(1_100, "USD".parse().unwrap()).unwrap();
    shop.update_product(&changed).await.unwrap();
    let dollars = checkout(vec![line().expecting_price(pesos(1_100))])
        .await
        .unwrap_err();
    assert_eq!(
        dollars.to_string(),
        "the price of expect changed from 11.00 MXN to 11.00 USD"
    );
    let mixed = checkout(vec![line(), other()]).await.unwrap_err();
    assert_eq!(mixed.to_string(), "checkout mixes USD and MXN");
    assert_eq!(
        (
            stock_of(shop, "expect").await,
            stock_of(shop, "expect-too").await
        ),
        (7, 9)
    );
}
