use std::sync::Arc;

use tokio::time::sleep;

use super::*;
use crate::inventory::{
    memory::MemoryInventory,
    model::{Checkout, Line, Money, NewProduct, OrderStatus, Quantity, Sku, Stock},
};

async fn shop() -> Arc<MemoryInventory> {
    let shop = MemoryInventory::new();
    let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
    let pot = NewProduct::new(Sku::new("pot").unwrap(), "Pot", price);
    let pot = pot.with_stock(Stock::new(5).unwrap());
    shop.add_product(pot).await.unwrap();
    Arc::new(shop)
}

fn cart() -> Checkout {
    let line = Line::new(Sku::new("pot").unwrap(), Quantity::ONE);
    Checkout::new([line]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_janitor_repeats_its_rounds_until_it_is_stopped() {
    let shop = shop().await;
    let janitor = Janitor::new(Arc::clone(&shop)).with_unpaid_after(Duration::ZERO);
    let running = tokio::spawn(async move {
        janitor.run(sleep(Duration::from_secs(200))).await;
    });
    let mut cancelled = 0;
    for _ in 0..5 {
        let order = shop.checkout(cart()).await.unwrap().id;
        sleep(Duration::from_secs(67)).await;
        let status = shop.order(order).await.unwrap().status;
        cancelled += u32::from(status == OrderStatus::Cancelled);
    }
    running.await.unwrap();
    // Three rounds after the first, within 200 s.
    assert_eq!(cancelled, 3);
}

#[tokio::test(start_paused = true)]
async fn keys_are_searched_once_an_hour_and_not_at_the_start() {
    let shop = shop().await;
    let janitor = Janitor::new(Arc::clone(&shop)).with_keys_after(Duration::ZERO);
    let running = tokio::spawn(async move {
        janitor.run(sleep(Duration::from_secs(8_000))).await;
    });
    let known = async || {
        let again = shop.checkout(cart().with_idempotency_key("key")).await;
        again.unwrap().replayed
    };
    // Known until the first search, which is within an hour.
    assert!(!known().await);
    let mut minutes = 0;
    while known().await {
        sleep(Duration::from_secs(66)).await;
        minutes += 1;
    }
    assert!(minutes <= 57, "{minutes}");
    // The last checkout created an order with that key again.
    sleep(Duration::from_secs(3_000)).await;
    assert!(known().await, "forgotten within the hour");
    sleep(Duration::from_secs(700)).await;
    assert!(!known().await, "known for longer than an hour");
    running.await.unwrap();
}

/// A process that restarts often does not search for keys each time.
#[tokio::test(start_paused = true)]
async fn a_restart_does_not_search_for_keys() {
    let shop = shop().await;
    let mut forgotten = 0;
    for _ in 0..50 {
        let request = || cart().with_idempotency_key("key");
        let made = shop.checkout(request()).await.unwrap();
        let janitor = Janitor::new(Arc::clone(&shop)).with_keys_after(Duration::ZERO);
        // A whole round: the stop is looked at after each clean-up.
        janitor.run(sleep(Duration::from_secs(1))).await;
        forgotten += u32::from(!shop.checkout(request()).await.unwrap().replayed);
        shop.cancel(made.id, "test").await.unwrap();
        shop.cleanup_idempotency_keys(Duration::ZERO).await.unwrap();
        let unpaid = shop.cleanup_failed_orders(Duration::ZERO).await;
        unpaid.unwrap();
    }
    assert!(forgotten < 5, "{forgotten}");
}

#[tokio::test]
async fn one_round_cleans_up_orders_and_keys() {
    let shop = shop().await;
    let request = cart().with_idempotency_key("key");
    shop.checkout(request).await.unwrap();
    let janitor = Janitor::new(Arc::clone(&shop));
    assert_eq!(janitor.run_once().await.unwrap(), Cleaned::default());
    let janitor = janitor
        .with_unpaid_after(Duration::ZERO)
        .with_keys_after(Duration::ZERO);
    let done = janitor.run_once().await.unwrap();
    assert_eq!(
        (done.cleanup.orders, done.cleanup.units, done.keys),
        (1, 1, 1)
    );
}
