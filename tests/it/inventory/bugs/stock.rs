//! Bugs of stock: oversold, lost, counted twice.

use optilock::{
    Version,
    inventory::{Adjustment, Checkout, Inventory, Line},
    sqlx,
};

use super::{at_once, hold, reserved_of, shop};
use crate::{
    support::bank::until_waiting,
    support::db::{assert_balanced, order_count},
    support::goods::{cart, pesos, sku, stock, stock_of, units},
};

/// The shop read the stock, changed it in the program and wrote it back without a lock.
#[tokio::test(flavor = "multi_thread")]
async fn medusa_16569_concurrent_deliveries_lose_no_unit() {
    let (db, shop) = shop(&[("pot", 0)]).await;
    at_once(16, |_| {
        let shop = shop.clone();
        async move {
            for _ in 0..10 {
                let one = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
                shop.adjust_stock(one).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(stock_of(&shop, "pot").await, 160);
    assert_balanced(&db.pool).await;
}

/// An edit of the price reserved the stock again.
#[tokio::test(flavor = "multi_thread")]
async fn medusa_16406_an_edit_of_the_price_reserves_nothing() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    shop.reserve(hold("pot", 2)).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    for price in 1..5 {
        let mut product = shop.product(&sku("pot")).await.unwrap();
        product.price = pesos(price);
        shop.update_product(&product).await.unwrap();
        assert_eq!(
            (
                stock_of(&shop, "pot").await,
                reserved_of(&shop, "pot").await
            ),
            (4, 2)
        );
    }
    assert_balanced(&db.pool).await;
}

/// The check and the allocation of stock were two transactions.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_4930_and_1738_concurrent_checkouts_oversell_nothing() {
    let (db, shop) = shop(&[("pot", 10), ("mug", 50)]).await;
    let answers = at_once(30, |_| {
        let shop = shop.clone();
        async move { shop.checkout(cart(&[("mug", 1), ("pot", 1)])).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 10);
    assert_eq!(
        (stock_of(&shop, "pot").await, stock_of(&shop, "mug").await),
        (0, 40)
    );
    assert_balanced(&db.pool).await;
}

/// The shop checked each of two lines of one product against the whole stock.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_1028_two_lines_of_one_product_are_checked_together() {
    let (db, shop) = shop(&[("pot", 3)]).await;
    match shop.checkout(cart(&[("pot", 2), ("pot", 2)])).await {
        Err(error) if error.is_insufficient_stock() => {
            let short = error.shortages();
            assert_eq!((short[0].requested.get(), short[0].available), (4, 3));
        }
        other => panic!("{other:?}"),
    }
    let order = shop
        .checkout(cart(&[("pot", 2), ("pot", 1)]))
        .await
        .unwrap();
    assert_eq!(order.lines[0].quantity.get(), 3);
    assert_balanced(&db.pool).await;
}

/// The shop allocated stock without a lock.
#[tokio::test(flavor = "multi_thread")]
async fn saleor_6897_reservations_and_sales_share_the_stock() {
    let (db, shop) = shop(&[("pot", 10)]).await;
    let taken = at_once(30, |number| {
        let shop = shop.clone();
        async move {
            match number % 2 {
                0 => shop.reserve(hold("pot", 1)).await.is_ok(),
                _ => shop.checkout(cart(&[("pot", 1)])).await.is_ok(),
            }
        }
    })
    .await;
    assert_eq!(taken.into_iter().filter(|&taken| taken).count(), 10);
    assert_eq!(
        stock_of(&shop, "pot").await,
        reserved_of(&shop, "pot").await
    );
    assert_balanced(&db.pool).await;
}

/// A form wrote the stock that it had read before a sale.
#[tokio::test(flavor = "multi_thread")]
async fn oscar_2102_a_count_from_before_a_sale_is_refused() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let read = shop.product(&sku("pot")).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let stale = shop
        .count_stock(&read.sku, read.version, stock(5), "form")
        .await;
    assert!(stale.unwrap_err().is_conflict());
    let mut form = read;
    form.name = "Large pot".to_owned();
    form.stock = stock(5);
    let edited = shop.update_product(&form).await.unwrap();
    assert_eq!((edited.stock.get(), &*edited.name), (4, "Large pot"));
    assert_balanced(&db.pool).await;
}

/// A hold expired, its units were sold, and its order could still be paid.
#[tokio::test(flavor = "multi_thread")]
async fn woocommerce_67931_an_expired_hold_sells_nothing() {
    let (db, shop) = shop(&[("pot", 1)]).await;
    let held = shop.reserve(hold("pot", 1)).await.unwrap().id;
    sqlx::query("UPDATE optilock.holds SET expires_at = expires_at - interval '1 hour'")
        .execute(&db.pool)
        .await
        .unwrap();
    let other = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let late = shop
        .checkout(cart(&[("pot", 1)]).with_reservation(held))
        .await;
    assert!(late.unwrap_err().is_insufficient_stock());
    shop.mark_paid(other.id).await.unwrap();
    assert_eq!(
        (stock_of(&shop, "pot").await, order_count(&db.pool).await),
        (0, 1)
    );
    assert_balanced(&db.pool).await;
}

/// The stock changed between the check and the update.
#[tokio::test(flavor = "multi_thread")]
async fn open_food_network_5406_stock_that_changes_before_the_update_is_checked_again() {
    let (db, shop) = shop(&[("pot", 2)]).await;
    let mut theft = db.pool.begin().await.unwrap();
    let stolen = Adjustment::new(sku("pot"), -1, "theft").unwrap();
    shop.adjust_stock_in(&mut theft, &stolen).await.unwrap();
    let ending = async {
        until_waiting(&db.pool).await;
        theft.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(shop.checkout(cart(&[("pot", 2)])), ending);
    assert!(refused.unwrap_err().is_insufficient_stock());
    // A line that expects a version is refused after any change.
    let line = Line::new(sku("pot"), units(1)).expecting_version(Version::FIRST);
    let moved = shop.checkout(Checkout::new([line]).unwrap()).await;
    assert!(moved.unwrap_err().is_conflict());
    assert_eq!(stock_of(&shop, "pot").await, 1);
    assert_balanced(&db.pool).await;
}
