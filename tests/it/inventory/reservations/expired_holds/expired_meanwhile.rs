//! Holds that expire while a request waits for the lock of their product.

use optilock::{
    inventory::{Error, Inventory, PgInventory, ReservationId, Reserve},
    sqlx::{self, PgPool, Postgres, Transaction},
};

use super::reserve;
use crate::support::{
    db::{Db, assert_balanced, eventually, sessions_waiting},
    goods::{add, cart, sku, units},
    strategies::STRATEGIES,
};

type Tx = Transaction<'static, Postgres>;

async fn lock(pool: PgPool) -> Tx {
    let mut tx = pool.begin().await.unwrap();
    let lock = "SELECT FROM optilock.products WHERE sku = 'pot' FOR NO KEY UPDATE";
    sqlx::query(lock).execute(&mut *tx).await.unwrap();
    tx
}

/// Makes this hold an expired one, and the others live, as if other requests had ended them and reserved their units.
async fn expire_only(tx: &mut Tx, id: ReservationId) {
    let expire = "UPDATE optilock.holds
        SET expires_at = now() + CASE WHEN reservation_id = $1 THEN -interval '1 hour' ELSE interval '1 hour' END";
    sqlx::query(expire)
        .bind(id.uuid())
        .execute(&mut **tx)
        .await
        .unwrap();
}

/// Makes the request while five transactions lock the product in turn, each before the request's next statement. Each
/// makes another hold an expired one, so that what the statement sees has been ended when it gets the lock.
async fn request<T: Send + 'static, F>(db: &Db, request: F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 2).await;
    let holds = [
        reserve(&shop, &[("pot", 1)]).await,
        reserve(&shop, &[("pot", 1)]).await,
    ];
    let mut locked = lock(db.pool.clone()).await;
    expire_only(&mut locked, holds[1]).await;
    locked.commit().await.unwrap();
    let mut locked = lock(db.pool.clone()).await;
    let request = tokio::spawn(request);
    for turn in 0..5 {
        let waits = async || request.is_finished() || sessions_waiting(&db.pool).await == 1;
        eventually("the request waits for the lock, or has ended", waits).await;
        if request.is_finished() {
            break;
        }
        expire_only(&mut locked, holds[turn % 2]).await;
        let next = tokio::spawn(lock(db.pool.clone()));
        let queued = async || sessions_waiting(&db.pool).await == 2;
        eventually("the next transaction waits behind the request", queued).await;
        locked.commit().await.unwrap();
        locked = next.await.unwrap();
    }
    drop(locked);
    let answer = request.await.unwrap();
    assert_balanced(&db.pool).await;
    answer
}

#[tokio::test]
async fn a_reservation_gets_their_units() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let pot = Reserve::new([(sku("pot"), units(1))]).unwrap();
    let made = request(&db, async move { shop.reserve(pot).await });
    assert_eq!(made.await.unwrap().holds.len(), 1);
}

#[tokio::test]
async fn a_checkout_sells_their_units() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        let sale = request(&db, async move { shop.checkout(cart(&[("pot", 1)])).await });
        let order = sale.await;
        assert_eq!(order.expect("units of an expired hold").lines.len(), 1);
    }
}
