//! Products whose sale is paused.

mod among_buyers;
mod rules;

use std::sync::Arc;

use optilock::{
    cache::CachedStock,
    inventory::{
        BatchOptions, BatchedInventory, Inventory, MemoryInventory, PgInventory, Strategy,
    },
};

use rules::{buy_reserved_units, fulfil, pause_and_resume, refuse_sales};

use crate::{
    support::goods::{add, sku},
    support::{
        SHUTDOWN,
        db::{Db, Default, assert_balanced},
    },
};

#[tokio::test]
async fn a_pause_holds_in_memory() {
    fulfil(&MemoryInventory::new()).await;
    let shop: Arc<dyn Inventory> = Arc::new(CachedStock::new(MemoryInventory::new()));
    fulfil(&shop).await;
}

macro_rules! each {
    ($($name:ident: $fulfil:ident by $strategy:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::ReadCommitted, 4).await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::$strategy);
            $fulfil(&shop).await;
            assert_balanced(&db.pool).await;
        }
    )*};
}

each! {
    a_paused_product_can_be_changed_guarded: pause_and_resume by Guarded;
    a_paused_product_can_be_changed_optimistic: pause_and_resume by Optimistic;
    a_paused_product_can_be_changed_pessimistic: pause_and_resume by Pessimistic;
    a_pause_refuses_every_sale_guarded: refuse_sales by Guarded;
    a_pause_refuses_every_sale_optimistic: refuse_sales by Optimistic;
    a_pause_refuses_every_sale_pessimistic: refuse_sales by Pessimistic;
    reserved_units_of_a_paused_product_are_sold_guarded: buy_reserved_units by Guarded;
    reserved_units_of_a_paused_product_are_sold_optimistic: buy_reserved_units by Optimistic;
    reserved_units_of_a_paused_product_are_sold_pessimistic: buy_reserved_units by Pessimistic;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_in_batches() {
    for options in [BatchOptions::new(), BatchOptions::new().always()] {
        let db = Db::with(Default::ReadCommitted, 4).await;
        let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
        fulfil(&shop).await;
        shop.shutdown(SHUTDOWN).await.unwrap();
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_under_stricter_isolation_levels() {
    for default in [Default::RepeatableRead, Default::Serializable] {
        let db = Db::with(default, 4).await;
        pause_and_resume(&PgInventory::new(db.pool.clone())).await;
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_the_hosts_transaction_is_rolled_back_with_it() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let pot = sku("pot");
    let mut transaction = db.pool.begin().await.unwrap();
    let paused = shop.pause_in(&mut transaction, &pot).await.unwrap();
    assert!(paused.paused);
    transaction.rollback().await.unwrap();
    assert!(!shop.product(&pot).await.unwrap().paused);
    let mut transaction = db.pool.begin().await.unwrap();
    shop.pause_in(&mut transaction, &pot).await.unwrap();
    let resumed = shop.resume_in(&mut transaction, &pot).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(shop.product(&pot).await.unwrap(), resumed);
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn a_paused_product_is_displayed_as_not_available() {
    let shop = CachedStock::new(MemoryInventory::new());
    add(&shop, "pot", 5).await;
    let pot = sku("pot");
    let left = shop.display(&pot).await.unwrap();
    assert_eq!((left.shown(), left.is_paused()), (5, false));
    shop.pause(&pot).await.unwrap();
    let left = shop.display(&pot).await.unwrap();
    assert!(left.is_paused() && left.is_sold_out());
    assert_eq!(
        (left.shown(), left.to_string().as_str()),
        (0, "not available")
    );
    shop.resume(&pot).await.unwrap();
    let left = shop.display(&pot).await.unwrap();
    assert_eq!(
        (left.to_string().as_str(), left.is_paused()),
        ("5 left", false)
    );
}
