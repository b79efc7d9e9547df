//! The JSON form of values, rows and reports.

use std::time::Duration;

use optilock::inventory::{
    Currency, Inventory, MemoryInventory, Money, OrderId, Quantity, Report, Reserve, Sku, Stock,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_value, json, to_value};

use crate::support::goods::{add, cart, pesos, sku, stock, units};

fn assert_round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: T,
    json: Value,
) {
    assert_eq!(to_value(&value).unwrap(), json);
    assert_eq!(from_value::<T>(json).unwrap(), value);
}

/// Returns the error of deserializing a body.
fn refused<T: DeserializeOwned + std::fmt::Debug>(body: Value) -> String {
    from_value::<T>(body).unwrap_err().to_string()
}

#[test]
fn values_are_checked_when_they_are_read() {
    assert_round_trip(sku("clay-pot"), json!("clay-pot"));
    assert_round_trip(units(3), json!(3));
    assert_round_trip(stock(0), json!(0));
    assert_round_trip("MXN".parse::<Currency>().unwrap(), json!("MXN"));
    assert_round_trip(pesos(450), json!({ "minor": 450, "currency": "MXN" }));
    let id = OrderId::new();
    assert_round_trip(id, json!(id.to_string()));

    assert_eq!(refused::<Sku>(json!("")), "sku is empty");
    assert!(refused::<Quantity>(json!(0)).starts_with("quantity 0 is not within"));
    assert!(refused::<Quantity>(json!(1.5)).contains("invalid type"));
    assert!(refused::<Stock>(json!(-1)).starts_with("stock -1 is not within"));
    assert!(refused::<OrderId>(json!("7")).contains("is not a UUID"));
    let debt = refused::<Money>(json!({ "minor": -1, "currency": "MXN" }));
    assert!(debt.contains("expected 0 or more"), "{debt}");
}

#[tokio::test]
async fn rows_and_reports_have_a_stable_json_form() {
    let shop = MemoryInventory::new();
    let product = to_value(add(&shop, "pot", 9).await).unwrap();
    assert_eq!(
        (&product["sku"], &product["stock"]),
        (&json!("pot"), &json!(9))
    );
    assert_eq!(
        product["price"],
        json!({ "minor": 1_000, "currency": "MXN" })
    );
    let at = product["created_at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.contains('T'), "{at}");

    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    let order = to_value(order).unwrap();
    assert_eq!(order["status"], json!("pending-payment"));
    assert_eq!(order["lines"][0]["quantity"], json!(2));
    let held = Reserve::new([(sku("pot"), units(1))]).unwrap();
    let held = to_value(shop.reserve(held).await.unwrap()).unwrap();
    assert_eq!(held["holds"][0]["state"], json!("held"));
    let short = shop.checkout(cart(&[("pot", 9)])).await.unwrap_err();
    assert!(short.is_insufficient_stock(), "{short:?}");
    let short = to_value(short.shortages()).unwrap();
    assert_eq!(
        short,
        json!([{ "sku": "pot", "requested": 9, "available": 6 }])
    );
    let ledger = shop
        .movements(&sku("pot"), optilock::inventory::Page::first(9))
        .await;
    let ledger = to_value(ledger.unwrap()).unwrap();
    assert_eq!(ledger[1]["kind"], json!("sale"));
    assert_eq!(
        to_value(shop.audit().await.unwrap()).unwrap(),
        json!({ "discrepancies": [] })
    );

    let report: Report = shop.report(Duration::from_secs(90)).await.unwrap();
    let report = to_value(report).unwrap();
    assert_eq!(report["window"], json!(90.0));
    assert!(report["covers"].is_f64());
    assert_eq!(
        report["kpis"][1],
        json!({ "kind": "conflict-rate", "value": 0.0, "goal": 0.01, "threshold": 0.05, "alert": false })
    );
    assert_eq!(
        report["best_sellers"],
        json!([{ "sku": "pot", "units": 2, "orders": 1 }])
    );
    assert_eq!(report["unpaid_count"], json!(0));
}
