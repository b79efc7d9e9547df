use tokio::time::advance;

use super::*;
use crate::inventory::{
    memory::MemoryInventory,
    model::{
        Adjustment, Checkout, Line, Money, NewProduct, Quantity, Reserve, ReturnRequest, Stock,
    },
};

async fn shop() -> (CachedStock<MemoryInventory>, Sku) {
    let shop = CachedStock::new(MemoryInventory::new());
    let pot = Sku::new("pot").unwrap();
    let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
    let new = NewProduct::new(pot.clone(), "Pot", price).with_stock(Stock::new(9).unwrap());
    shop.add_product(new).await.unwrap();
    (shop, pot)
}

fn lines(pot: &Sku) -> [(Sku, Quantity); 1] {
    [(pot.clone(), Quantity::ONE)]
}

fn cart(pot: &Sku) -> Checkout {
    Checkout::new([Line::new(pot.clone(), Quantity::ONE)]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_shown_until_the_ttl_has_passed() {
    let (shop, pot) = shop().await;
    assert_eq!(shop.display(&pot).await.unwrap().shown(), 9);
    // A sale that the cache does not see.
    shop.inventory().checkout(cart(&pot)).await.unwrap();
    advance(Duration::from_millis(29_999)).await;
    let shown = shop.display(&pot).await.unwrap();
    assert_eq!((shown.shown(), shown.age().as_secs()), (9, 29));
    advance(Duration::from_millis(1)).await;
    assert_eq!(shop.display(&pot).await.unwrap().shown(), 8);
    shop.inventory().checkout(cart(&pot)).await.unwrap();
    shop.forget(&pot);
    assert_eq!(shop.display(&pot).await.unwrap().shown(), 7);
    let shop = shop.with_ttl(Duration::ZERO);
    shop.inventory().checkout(cart(&pot)).await.unwrap();
    assert_eq!(shop.display(&pot).await.unwrap().to_string(), "6 left");
}

#[tokio::test]
async fn changes_through_the_cache_are_shown_at_once() {
    let (shop, pot) = shop().await;
    let shown = async |shop: &CachedStock<_>| shop.display(&pot).await.unwrap().shown();
    assert_eq!(shown(&shop).await, 9);
    let order = shop.checkout(cart(&pot)).await.unwrap().id;
    assert_eq!(shown(&shop).await, 8);
    shop.cancel(order, "changed my mind").await.unwrap();
    assert_eq!(shown(&shop).await, 9);
    shop.revive(order).await.unwrap();
    assert_eq!(shown(&shop).await, 8);
    shop.mark_paid(order).await.unwrap();
    let returned = ReturnRequest::new(order, lines(&pot), "chipped").unwrap();
    shop.return_items(returned).await.unwrap();
    assert_eq!(shown(&shop).await, 9);
    let held = shop
        .reserve(Reserve::new(lines(&pot)).unwrap())
        .await
        .unwrap();
    assert_eq!(shown(&shop).await, 8);
    shop.release(held.id).await.unwrap();
    assert_eq!(shown(&shop).await, 9);
    let brief = Reserve::new(lines(&pot))
        .unwrap()
        .for_duration(Duration::from_micros(1));
    shop.reserve(brief).await.unwrap();
    assert_eq!(shown(&shop).await, 8);
    // Waits for a microsecond.
    let before = chrono::Utc::now();
    while chrono::Utc::now() <= before + Duration::from_micros(2) {}
    shop.cleanup_reservations().await.unwrap();
    assert_eq!(shown(&shop).await, 9);
    shop.checkout(cart(&pot)).await.unwrap();
    assert_eq!(shown(&shop).await, 8);
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!(shown(&shop).await, 9);
    let delivery = Adjustment::new(pot.clone(), 3, "delivery").unwrap();
    let product = shop.adjust_stock(delivery).await.unwrap();
    assert_eq!(shown(&shop).await, 12);
    let counted = shop.count_stock(&pot, product.version, Stock::new(4).unwrap(), "counted");
    let product = counted.await.unwrap();
    assert_eq!(shown(&shop).await, 4);
    shop.retire_product(&pot, product.version).await.unwrap();
    assert!(shop.display(&pot).await.unwrap_err().is_not_found());
    let again = NewProduct::new(pot.clone(), "Pot", product.price);
    shop.add_product(again).await.unwrap();
    assert!(shop.display(&pot).await.unwrap().is_sold_out());
}

#[tokio::test]
async fn the_number_of_cached_products_is_limited() {
    let (shop, pot) = shop().await;
    let shop = shop.with_products(2);
    for name in 0..100 {
        let other = Sku::new(name.to_string()).unwrap();
        assert!(shop.display(&other).await.unwrap_err().is_not_found());
    }
    shop.products.run_pending_tasks().await;
    assert!(shop.products.entry_count() <= 2);
    assert_eq!(shop.display(&pot).await.unwrap().shown(), 9);
}
