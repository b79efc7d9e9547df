//! Triggers that swallow or alter a row of a change of a product.

use optilock::inventory::{Adjustment, Error, ErrorKind, Inventory, PgInventory, Product};

use crate::{
    support::db::Db,
    support::goods::{add, new_product, sku, stock},
    support::stored::stored,
    support::triggers::add_trigger,
};

/// Table, event, and what the trigger returns or assigns.
const TRIGGERS: [(&str, &str, &str); 11] = [
    ("products", "UPDATE", "NULL"),
    ("products", "UPDATE", "OLD"),
    ("products", "UPDATE", "NEW.stock := NEW.stock + 1"),
    ("products", "UPDATE", "NEW.version := NEW.version + 1"),
    ("products", "INSERT", "NULL"),
    ("products", "INSERT", "NEW.stock := NEW.stock + 1"),
    ("products", "INSERT", "NEW.paused := true"),
    ("movements", "INSERT", "NULL"),
    ("movements", "INSERT", "NEW.delta := NEW.delta + 1"),
    ("movements", "INSERT", "NEW.version := NEW.version + 50"),
    (
        "movements",
        "INSERT",
        "NEW.stock_after := NEW.stock_after + 1",
    ),
];

/// Runs each change of a product and returns its answer.
async fn changes(shop: &PgInventory, pot: &Product) -> [(&'static str, Result<(), Error>); 8] {
    let more = Adjustment::new(pot.sku.clone(), 1, "delivery").unwrap();
    let mut edited = pot.clone();
    edited.name = "Another".to_owned();
    let version = async || shop.product(&pot.sku).await.unwrap().version;
    [
        (
            "add",
            shop.add_product(new_product("new", 3)).await.map(drop),
        ),
        (
            "add again",
            shop.add_product(new_product("retired", 3)).await.map(drop),
        ),
        ("adjust", shop.adjust_stock(more).await.map(drop)),
        (
            "count",
            shop.count_stock(&pot.sku, version().await, stock(7), "counted")
                .await
                .map(drop),
        ),
        ("edit", shop.update_product(&edited).await.map(drop)),
        ("pause", shop.pause(&pot.sku).await.map(drop)),
        ("resume", shop.resume(&sku("paused")).await.map(drop)),
        (
            "retire",
            shop.retire_product(&pot.sku, version().await).await,
        ),
    ]
}

/// A trigger swallows or alters the row of one table. No part of the change may be stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_or_altered_change_of_a_product_is_refused() {
    let mut wrong = Vec::new();
    for (table, event, what) in TRIGGERS {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        let pot = add(&shop, "pot", 50).await;
        add(&shop, "paused", 50).await;
        shop.pause(&sku("paused")).await.unwrap();
        let retired = add(&shop, "retired", 5).await;
        let retired = shop.retire_product(&retired.sku, retired.version).await;
        retired.unwrap();
        let body = if what.contains(":=") {
            format!("{what}; RETURN NEW;")
        } else {
            format!("RETURN {what};")
        };
        add_trigger(&db.pool, table, event, &body, "").await;
        let before = stored(&db.pool).await;
        for (operation, answer) in changes(&shop, &pot).await {
            let concerned = table == "movements" || (operation == "add") == (event == "INSERT");
            match answer {
                Err(error) if concerned && error.kind() == ErrorKind::Suppressed => {}
                Ok(()) if !concerned => {}
                other => wrong.push(format!(
                    "{operation}: {event} on {table}: {what}: {other:?}"
                )),
            }
        }
        if table == "movements" {
            assert_eq!(stored(&db.pool).await, before, "{what}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
