//! The contract that every implementation of `Inventory` fulfils.

mod same_answers;

use std::sync::Arc;

use optilock::{
    cache::CachedStock,
    inventory::{
        BatchOptions, BatchedInventory, Inventory, MemoryInventory, PgInventory, Strategy,
    },
    testing::{FaultyInventory, fulfils_contract as fulfil},
};

use crate::{
    support::goods::{add, sku},
    support::{
        SHUTDOWN,
        db::{Db, Default, assert_balanced},
    },
};

#[tokio::test]
async fn the_memory_inventory_fulfils_it() {
    fulfil(&MemoryInventory::new()).await;
}

/// A reference, a box or an `Arc` of an inventory, of a concrete or a dynamic type.
#[tokio::test]
async fn a_pointer_to_an_inventory_fulfils_it() {
    async fn behind(shop: impl Inventory) {
        fulfil(&shop).await;
    }
    let shop = || MemoryInventory::new();
    behind(&shop()).await;
    behind(&shop() as &dyn Inventory).await;
    behind(Box::new(shop())).await;
    behind(Box::new(shop()) as Box<dyn Inventory>).await;
    behind(Arc::new(shop())).await;
    behind(Arc::new(shop()) as Arc<dyn Inventory>).await;
    behind(Box::new(Arc::new(&shop() as &dyn Inventory))).await;
    behind(CachedStock::new(&shop() as &dyn Inventory)).await;
    behind(CachedStock::new(Box::new(shop()) as Box<dyn Inventory>)).await;
    behind(CachedStock::new(Arc::new(shop()) as Arc<dyn Inventory>)).await;
    behind(FaultyInventory::new(shop())).await;
    let cached = CachedStock::new(Box::new(shop()) as Box<dyn Inventory>);
    add(&cached, "pot", 2).await;
    assert_eq!(cached.display(&sku("pot")).await.unwrap().shown(), 2);
}

macro_rules! on_postgres {
    ($($name:ident: $strategy:ident under $default:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::$default, 4).await;
            fulfil(&PgInventory::new(db.pool.clone()).with_strategy(Strategy::$strategy)).await;
            assert_balanced(&db.pool).await;
        }
    )*};
}

macro_rules! batched {
    ($($name:ident: $options:expr, under $default:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::$default, 4).await;
            let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), $options);
            fulfil(&shop).await;
            shop.shutdown(SHUTDOWN).await.unwrap();
            assert_balanced(&db.pool).await;
        }
    )*};
}

batched! {
    queued_if_hot_under_read_committed: BatchOptions::new(), under ReadCommitted;
    always_queued_under_read_committed: BatchOptions::new().always(), under ReadCommitted;
    always_queued_under_repeatable_read: BatchOptions::new().always(), under RepeatableRead;
    always_queued_under_serializable: BatchOptions::new().always(), under Serializable;
}

on_postgres! {
    guarded_under_read_committed: Guarded under ReadCommitted;
    guarded_under_repeatable_read: Guarded under RepeatableRead;
    guarded_under_serializable: Guarded under Serializable;
    optimistic_under_read_committed: Optimistic under ReadCommitted;
    optimistic_under_repeatable_read: Optimistic under RepeatableRead;
    optimistic_under_serializable: Optimistic under Serializable;
    pessimistic_under_read_committed: Pessimistic under ReadCommitted;
    pessimistic_under_repeatable_read: Pessimistic under RepeatableRead;
    pessimistic_under_serializable: Pessimistic under Serializable;
}
