//! Stock for display after operations with a lost connection.

use optilock::{
    RetryPolicy,
    cache::CachedStock,
    inventory::{Inventory, PgInventory, Reserve},
};

use crate::support::{
    db::Db,
    goods::{add, cart, sku, units},
    proxy::{Cut, Proxy},
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// "The answer is never older than the last change through this value."
#[tokio::test(flavor = "multi_thread")]
async fn the_cache_does_not_show_stock_from_before_a_failed_operation() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    add(&direct, "pot", 10).await;
    let order = direct.checkout(cart(&[("pot", 4)])).await.unwrap().id;
    let proxy = Proxy::new(&db).await;
    let shop = CachedStock::new(PgInventory::new(proxy.pool(1).await).with_policy(ONCE));
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 6);
    // The cancellation reads the order first, and then writes.
    proxy.trap_after(1, Cut::Reply);
    let cancelled = shop.cancel(order, "no").await;
    assert_eq!(
        shop.display(&sku("pot")).await.unwrap().shown(),
        10,
        "{cancelled:?}"
    );
    proxy.trap_after(1, Cut::Before);
    let reserved = shop
        .reserve(Reserve::new([(sku("pot"), units(3))]).unwrap())
        .await;
    assert_eq!(
        shop.display(&sku("pot")).await.unwrap().shown(),
        7,
        "{reserved:?}"
    );
}
