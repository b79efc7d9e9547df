//! The number of statements of a checkout.

use optilock::inventory::{Inventory, PgInventory};

use crate::{
    support::db::Db,
    support::goods::{add, cart, stock_of},
    support::proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_checkout_of_one_line_is_one_round_trip() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let shop = PgInventory::new(proxy.pool(1).await);
    let direct = PgInventory::new(db.pool.clone());
    add(&direct, "pot", 10).await;
    // The first checkout prepares the statement.
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    // The proxy passes one statement and holds any other.
    let (executes, queries, parses) = proxy.counts();
    proxy.allow(1);
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert!(!order.replayed);
    assert_eq!(proxy.counts(), (executes + 1, queries, parses));
    assert_eq!(stock_of(&direct, "pot").await, 8);
}
