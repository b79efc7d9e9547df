//! Bugs that other shops had, each with the project and the number of its report.

mod concurrency;
mod orders;
mod stock;

use tokio::task::JoinSet;

use optilock::inventory::{Inventory, PgInventory, Reserve};

use crate::{
    support::db::{Db, Default},
    support::goods::{add, sku, units},
};

/// Creates a shop with these products.
async fn shop(stock: &[(&str, i64)]) -> (Db, PgInventory) {
    let db = Db::with(Default::ReadCommitted, 16).await;
    let shop = PgInventory::new(db.pool.clone());
    for (name, units) in stock {
        add(&shop, name, *units).await;
    }
    (db, shop)
}

/// Runs `count` futures at the same time and returns their results, in no order.
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
