//! Bugs that shops really had, each by the project and number under which it was reported. What is
//! tested is that it can't happen here.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Error, HoldState, Inventory, Line, OrderId, OrderStatus, PgInventory,
        Reserve,
    },
    sqlx,
};
use tokio::task::JoinSet;

use crate::{
    support::bank::until_waiting,
    support::db::{Db, Default, assert_books, deadlocks, order_count},
    support::goods::{add, cart, pesos, sku, stock, stock_of, units},
};

async fn shop(stock: &[(&str, i64)]) -> (Db, PgInventory) {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = PgInventory::new(db.pool.clone());
    for (name, units) in stock {
        add(&shop, name, *units).await;
    }
    (db, shop)
}

/// All at once; the answers, in no order.
async fn at_once<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(make(number));
    }
    tasks.join_all().await
}

async fn reserved_of(shop: &PgInventory, name: &str) -> i64 {
    shop.product(&sku(name)).await.unwrap().reserved.get()
}

fn hold(name: &str, count: i64) -> Reserve {
    Reserve::new([(sku(name), units(count))]).unwrap()
}

/// Stock was read, changed in the program, and written below the workflow that had locked it.
#[tokio::test(flavor = "multi_thread")]
async fn medusa_16569_read_modify_write_without_a_lock() {
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
    assert_books(&db.pool).await;
}

/// Cancelled and restored over and over, what was reserved went below zero.
#[tokio::test(flavor = "multi_thread")]
async fn medusa_15397_cancelled_and_restored_repeatedly() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    at_once(8, |number| {
        let shop = shop.clone();
        async move {
            for _ in 0..10 {
                let step = match number % 2 {
                    0 => shop.cancel(order, "again").await,
                    _ => shop.revive(order).await,
                };
                assert!(step.is_ok(), "{step:?}");
            }
        }
    })
    .await;
    let taken = match shop.order(order).await.unwrap().status {
        OrderStatus::Cancelled => 0,
        _ => 2,
    };
    assert_eq!(stock_of(&shop, "pot").await, 5 - taken);
    assert_eq!(reserved_of(&shop, "pot").await, 0);
    assert_books(&db.pool).await;
}

/// An edit of the price alone reserved the stock again.
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
    assert_books(&db.pool).await;
}

/// The check and the allocation were two transactions.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_4930_and_1738_check_and_allocation_are_one() {
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
    assert_books(&db.pool).await;
}

/// Each of two lines of one product was judged by the stock before the other.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_1028_two_lines_of_one_product() {
    let (db, shop) = shop(&[("pot", 3)]).await;
    match shop.checkout(cart(&[("pot", 2), ("pot", 2)])).await {
        Err(Error::InsufficientStock(short)) => {
            assert_eq!((short[0].requested.get(), short[0].available), (4, 3));
        }
        other => panic!("{other:?}"),
    }
    let order = shop
        .checkout(cart(&[("pot", 2), ("pot", 1)]))
        .await
        .unwrap();
    assert_eq!(order.lines[0].quantity.get(), 3);
    assert_books(&db.pool).await;
}

/// A cancellation gave back what had never been taken.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_1557_and_2874_a_cancellation_gives_back_what_was_taken() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    // From a reservation: stock comes back, and nothing that is reserved.
    let held = shop.reserve(hold("pot", 3)).await.unwrap().id;
    let part = cart(&[("pot", 2)]).with_reservation(held);
    let order = shop.checkout(part).await.unwrap().id;
    shop.cancel(order, "test").await.unwrap();
    assert_eq!(
        (
            stock_of(&shop, "pot").await,
            reserved_of(&shop, "pot").await
        ),
        (5, 1)
    );
    // Refused: there is nothing to give back.
    let refused = cart(&[("pot", 9)]);
    let id = refused.order_id();
    shop.checkout(refused).await.unwrap_err();
    assert!(shop.cancel(id, "test").await.unwrap_err().is_not_found());
    at_once(8, |_| {
        let shop = shop.clone();
        async move { shop.cancel(order, "again").await.map(drop).unwrap() }
    })
    .await;
    assert_eq!(stock_of(&shop, "pot").await, 5);
    assert_books(&db.pool).await;
}

/// Products were locked in the order of the cart.
#[tokio::test(flavor = "multi_thread")]
async fn saleor_17123_carts_in_opposite_orders() {
    let (db, shop) = shop(&[("pot", 9_999), ("mug", 9_999), ("jug", 9_999)]).await;
    let carts = [
        ["pot", "mug", "jug"],
        ["jug", "mug", "pot"],
        ["mug", "jug", "pot"],
    ];
    at_once(12, |number| {
        let shop = shop.clone();
        async move {
            for _ in 0..15 {
                let lines = carts[number % 3].map(|name| (name, 1));
                let order = shop.checkout(cart(&lines)).await.unwrap();
                match number % 4 {
                    0 => shop.cancel(order.id, "test").await.map(drop).unwrap(),
                    1 => shop
                        .cleanup_failed_orders(Duration::from_secs(60))
                        .await
                        .map(drop)
                        .unwrap(),
                    _ => {}
                }
            }
        }
    })
    .await;
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}

/// Allocations were made without a lock on the stock.
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
    assert_books(&db.pool).await;
}

/// The basket and the order made of it were locked in different orders.
#[tokio::test(flavor = "multi_thread")]
async fn oscar_4594_a_reservation_and_its_order() {
    let (db, shop) = shop(&[("pot", 50), ("mug", 50)]).await;
    for _ in 0..10 {
        let lines = [(sku("mug"), units(1)), (sku("pot"), units(2))];
        let held = shop.reserve(Reserve::new(lines).unwrap()).await.unwrap().id;
        let ended = at_once(6, |number| {
            let shop = shop.clone();
            async move {
                let buy = cart(&[("pot", 2), ("mug", 1)]).with_reservation(held);
                match number % 3 {
                    0 => shop.checkout(buy).await.is_ok(),
                    1 => shop.release(held).await.is_err(),
                    _ => {
                        let extended = shop.extend(held, Duration::from_secs(900)).await;
                        if let Err(refused) = extended {
                            let closed = matches!(refused, Error::ReservationClosed { .. });
                            assert!(closed, "{refused:?}");
                        }
                        false
                    }
                }
            }
        })
        .await;
        assert!(ended.into_iter().filter(|&bought| bought).count() <= 1);
        let holds = shop.reservation(held).await.unwrap().holds;
        assert!(holds.iter().all(|hold| hold.state != HoldState::Held));
    }
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_books(&db.pool).await;
}

/// A form that had read the stock wrote it back over a sale.
#[tokio::test(flavor = "multi_thread")]
async fn oscar_2102_a_count_over_a_sale() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let read = shop.product(&sku("pot")).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let over = shop
        .count_stock(&read.sku, read.version, stock(5), "form")
        .await;
    assert!(over.unwrap_err().is_conflict());
    let mut form = read;
    form.name = "Large pot".to_owned();
    form.stock = stock(5);
    let edited = shop.update_product(&form).await.unwrap();
    assert_eq!((edited.stock.get(), &*edited.name), (4, "Large pot"));
    assert_books(&db.pool).await;
}

/// Rows were locked by one index and updated by another, which found others.
#[tokio::test(flavor = "multi_thread")]
async fn magento_41224_one_request_by_its_id_and_by_its_key() {
    let (db, shop) = shop(&[("pot", 50)]).await;
    let id = OrderId::new();
    let answers = at_once(16, |number| {
        let shop = shop.clone();
        async move {
            let request = cart(&[("pot", 1)]).with_idempotency_key("key");
            let request = match number % 2 {
                0 => request.with_order_id(id),
                _ => request,
            };
            shop.checkout(request).await.unwrap().id
        }
    })
    .await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(
        (order_count(&db.pool).await, stock_of(&shop, "pot").await),
        (1, 49)
    );
    assert_books(&db.pool).await;
}

/// A hold ran out, its units were sold, and its order could still be paid.
#[tokio::test(flavor = "multi_thread")]
async fn woocommerce_67931_a_hold_that_ran_out_sells_nothing() {
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
    assert_books(&db.pool).await;
}

/// A webhook that came late paid a cancelled order, and the stock was taken once more.
#[tokio::test(flavor = "multi_thread")]
async fn mollie_1252_a_late_webhook() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    for _ in 0..3 {
        let late = shop.mark_paid(order).await.unwrap_err();
        assert_eq!(late.code(), "invalid-order-state");
        assert_eq!(stock_of(&shop, "pot").await, 5);
    }
    // Taken again on purpose, and once.
    for _ in 0..3 {
        shop.revive(order).await.unwrap();
    }
    for _ in 0..3 {
        shop.mark_paid(order).await.unwrap();
    }
    assert_eq!(stock_of(&shop, "pot").await, 3);
    assert_books(&db.pool).await;
}

/// A locked row was skipped, taken for missing, and made a second time.
#[tokio::test(flavor = "multi_thread")]
async fn odoo_272560_what_is_skipped_is_done_later_and_once() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    let mut payment = db.pool.begin().await.unwrap();
    shop.mark_payment_failed_in(&mut payment, order)
        .await
        .unwrap();
    let skipped = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((skipped.orders, skipped.skipped), (0, 1));
    payment.commit().await.unwrap();
    // What was skipped often is waited for, shortly, and done in the same call.
    let mut sale = db.pool.begin().await.unwrap();
    let bought = shop
        .checkout_in(&mut sale, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    shop.mark_paid_in(&mut sale, bought.id).await.unwrap();
    let ending = async {
        until_waiting(&db.pool).await;
        sale.commit().await.unwrap();
    };
    let (swept, ()) = tokio::join!(shop.cleanup_failed_orders(Duration::ZERO), ending);
    assert_eq!(swept.unwrap().orders, 1);
    assert_eq!(stock_of(&shop, "pot").await, 4);
    assert_books(&db.pool).await;
}

/// A cart was read outside of the lock, and a double click ordered it twice.
#[tokio::test(flavor = "multi_thread")]
async fn shopware_19943_and_woocommerce_62659_a_double_click() {
    let (db, shop) = shop(&[("pot", 50), ("mug", 50)]).await;
    for lines in [vec![("pot", 1)], vec![("pot", 1), ("mug", 1)]] {
        let request: Checkout = cart(&lines);
        let answers = at_once(8, |_| {
            let (shop, request) = (shop.clone(), request.clone());
            async move { shop.checkout(request).await.unwrap() }
        })
        .await;
        assert_eq!(answers.iter().filter(|order| !order.replayed).count(), 1);
    }
    assert_eq!(
        (order_count(&db.pool).await, stock_of(&shop, "pot").await),
        (2, 48)
    );
    assert_books(&db.pool).await;
}

/// The stock changed between the check and the update.
#[tokio::test(flavor = "multi_thread")]
async fn open_food_network_5406_stock_that_changes_meanwhile() {
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
    // A line that depends on more than the stock says so.
    let line = Line::new(sku("pot"), units(1)).expecting_version(Version::FIRST);
    let moved = shop.checkout(Checkout::new([line]).unwrap()).await;
    assert!(moved.unwrap_err().is_conflict());
    assert_eq!(stock_of(&shop, "pot").await, 1);
    assert_books(&db.pool).await;
}
