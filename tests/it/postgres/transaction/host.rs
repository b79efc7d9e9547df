//! Operations of the inventory and statements of the host in one transaction.

use optilock::{
    Class, Classify, RetryPolicy,
    inventory::{Adjustment, Error, ErrorKind, Inventory, Page, PgInventory},
    postgres::{Isolation, TransactOptions, transact, transact_with},
    sqlx,
};

use crate::support::{
    db::{Db, assert_balanced, order_count},
    goods::{add, cart, new_product, pesos, sku, stock, stock_of},
};

async fn with_deliveries() -> (Db, PgInventory) {
    let db = Db::new().await;
    sqlx::query("CREATE TABLE public.deliveries (order_id uuid PRIMARY KEY, street text NOT NULL)")
        .execute(&db.pool)
        .await
        .unwrap();
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    (db, shop)
}

async fn deliveries(db: &Db) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM public.deliveries")
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_commits_with_an_insert_of_the_host() {
    let (db, shop) = with_deliveries().await;
    for request in [cart(&[("pot", 1)]), cart(&[("pot", 1), ("mug", 2)])] {
        let order = transact(&db.pool, &RetryPolicy::new(), async |tx| {
            let order = shop.checkout_in(tx, &request).await?;
            sqlx::query("INSERT INTO public.deliveries VALUES ($1, 'Calle 5 de Mayo')")
                .bind(order.id.uuid())
                .execute(&mut **tx)
                .await?;
            Ok::<_, Error>(order)
        })
        .await
        .unwrap();
        assert_eq!(shop.order(order.id).await.unwrap(), order);
    }
    assert_eq!(
        (
            deliveries(&db).await,
            stock_of(&shop, "pot").await,
            stock_of(&shop, "mug").await
        ),
        (2, 3, 3)
    );
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_is_rolled_back_with_an_insert_of_the_host() {
    let (db, shop) = with_deliveries().await;
    let request = cart(&[("pot", 1), ("mug", 2)]);
    let failed = transact(&db.pool, &RetryPolicy::new(), async |tx| {
        let order = shop.checkout_in(tx, &request).await?;
        sqlx::query("INSERT INTO public.deliveries VALUES ($1, NULL)")
            .bind(order.id.uuid())
            .execute(&mut **tx)
            .await?;
        Ok::<_, Error>(order)
    })
    .await
    .unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::Database, "{failed:?}");
    assert_eq!(failed.attempts, 1);
    assert_eq!((deliveries(&db).await, order_count(&db.pool).await), (0, 0));
    assert_eq!(
        (stock_of(&shop, "pot").await, stock_of(&shop, "mug").await),
        (5, 5)
    );
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_hosts_transaction_usable() {
    let (db, shop) = with_deliveries().await;
    let mut tx = db.pool.begin().await.unwrap();
    for request in [
        cart(&[("pot", 9)]),
        cart(&[("pot", 9), ("mug", 1)]),
        cart(&[("nowhere", 1)]),
    ] {
        let refused = shop.checkout_in(&mut tx, &request).await.unwrap_err();
        assert_eq!(refused.class(), Class::Permanent, "{refused:?}");
    }
    assert!(
        shop.add_product_in(&mut tx, &new_product("pot", 1))
            .await
            .is_err()
    );
    shop.checkout_in(&mut tx, &cart(&[("pot", 5)]))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stock_of(&shop, "pot").await, 0);
    assert_balanced(&db.pool).await;
}

/// The changes are visible inside of the transaction and gone after its rollback.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_runs_in_the_callers_transaction() {
    let (db, shop) = with_deliveries().await;
    let mut tx = db.pool.begin().await.unwrap();
    let added = shop
        .add_product_in(&mut tx, &new_product("jug", 1))
        .await
        .unwrap();
    assert_eq!(shop.product_in(&mut tx, &sku("jug")).await.unwrap(), added);
    assert_eq!(
        shop.product_at_in(&mut tx, &sku("jug"), added.version)
            .await
            .unwrap(),
        added
    );
    assert_eq!(
        shop.products_in(&mut tx, &Page::first(9))
            .await
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        shop.products_of_in(&mut tx, &[sku("jug")]).await.unwrap(),
        std::slice::from_ref(&added)
    );
    let mut changed = added.clone();
    changed.price = pesos(7);
    let changed = shop.update_product_in(&mut tx, &changed).await.unwrap();
    let adjustment = Adjustment::new(sku("jug"), 3, "delivery").unwrap();
    let adjusted = shop.adjust_stock_in(&mut tx, &adjustment).await.unwrap();
    assert_eq!((adjusted.stock, adjusted.price), (stock(4), changed.price));
    let counted = shop
        .count_stock_in(&mut tx, &sku("jug"), adjusted.version, stock(2), "day")
        .await
        .unwrap();
    let order = shop
        .checkout_in(&mut tx, &cart(&[("jug", 1)]))
        .await
        .unwrap();
    assert_eq!(shop.order_in(&mut tx, order.id).await.unwrap(), order);
    let sold = counted.version.next().unwrap();
    shop.retire_product_in(&mut tx, &sku("jug"), sold)
        .await
        .unwrap();
    assert!(
        shop.product(&sku("jug")).await.unwrap_err().is_not_found(),
        "the product is not committed yet"
    );
    tx.rollback().await.unwrap();
    assert!(shop.product(&sku("jug")).await.unwrap_err().is_not_found());
    assert!(shop.order(order.id).await.unwrap_err().is_not_found());
    assert_balanced(&db.pool).await;
}

/// At REPEATABLE READ the stale writer cannot read the current version and its transaction is aborted, so
/// `transact` runs it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_serialization_failure_in_the_hosts_transaction_is_a_conflict() {
    let (db, shop) = with_deliveries().await;
    let options = TransactOptions::new().with_isolation(Isolation::RepeatableRead);
    let request = cart(&[("pot", 1)]);
    let seen = std::sync::Mutex::new(Vec::new());
    let order = transact_with(&db.pool, &RetryPolicy::new(), &options, async |tx| {
        // The snapshot is taken before the other purchase.
        shop.product_in(tx, &sku("pot")).await?;
        if tx.attempt().number() == 1 {
            shop.checkout(cart(&[("pot", 1)])).await?;
        }
        let result = shop.checkout_in(tx, &request).await;
        if let Err(error) = &result {
            seen.lock().unwrap().push((error.code(), error.class()));
        }
        result
    })
    .await
    .unwrap();
    assert_eq!(*seen.lock().unwrap(), [("conflict", Class::Conflict)]);
    assert_eq!((order.replayed, stock_of(&shop, "pot").await), (false, 3));
    assert_balanced(&db.pool).await;
}
