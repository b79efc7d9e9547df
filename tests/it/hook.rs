//! What a host does in the sale's transaction: it is there when the order is.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BoxError, CombineOptions, Combined, Error, Inventory, OnAccepted, PgInventory,
        Reserve, Strategy,
    },
    postgres::transact,
    sqlx::{self, PgConnection, PgPool},
};

use crate::{
    db::{Db, assert_books},
    goods::{add, cart, sku, stock_of, units},
};

const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

/// Writes a row per change into a table of the host's own.
#[derive(Debug, Default)]
struct Outbox {
    calls: AtomicU32,
    /// Fails so often by itself, and so often in the database.
    refusals: AtomicU32,
    conflicts: AtomicU32,
}

fn take(count: &AtomicU32) -> bool {
    count
        .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl OnAccepted for Outbox {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        self.calls.fetch_add(1, Relaxed);
        for change in &accepted.changes {
            sqlx::query("INSERT INTO public.outbox VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(accepted.order.id.uuid())
                .bind(change.sku.as_str())
                .bind(change.quantity.get())
                .bind(change.version.get())
                .bind(change.stock)
                .bind(change.reserved)
                .execute(&mut *conn)
                .await?;
        }
        if take(&self.conflicts) {
            let lost = "DO $$ BEGIN RAISE 'lost' USING ERRCODE = '40001'; END $$";
            sqlx::query(lost).execute(&mut *conn).await?;
        }
        if take(&self.refusals) {
            return Err("the customer is barred".into());
        }
        Ok(())
    }
}

async fn shop(strategy: Strategy) -> (Db, PgInventory, Arc<Outbox>) {
    let db = Db::new().await;
    let table =
        "CREATE TABLE public.outbox (order_id uuid, sku text, quantity bigint, version bigint,
        stock bigint, reserved bigint)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    let outbox = Arc::new(Outbox::default());
    let shop = PgInventory::new(db.pool.clone())
        .with_strategy(strategy)
        .with_hook(Arc::clone(&outbox) as Arc<dyn OnAccepted>);
    (db, shop, outbox)
}

/// SKU, quantity, version, stock, reserved.
type Row = (String, i64, i64, i64, i64);

async fn rows(pool: &PgPool) -> Vec<Row> {
    let rows =
        "SELECT sku, quantity, version, stock, reserved FROM public.outbox ORDER BY sku, version";
    sqlx::query_as(rows).fetch_all(pool).await.unwrap()
}

fn row(sku: &str, quantity: i64, version: i64, stock: i64, reserved: i64) -> Row {
    (sku.to_owned(), quantity, version, stock, reserved)
}

#[tokio::test]
async fn it_is_told_what_every_accepted_sale_did() {
    for strategy in STRATEGIES {
        let (db, shop, outbox) = shop(strategy).await;
        add(&shop, "mug", 10).await;
        add(&shop, "pot", 10).await;
        let one = cart(&[("pot", 3)]);
        shop.checkout(one.clone()).await.unwrap();
        shop.checkout(cart(&[("mug", 1), ("pot", 2)]))
            .await
            .unwrap();
        let held = Reserve::new([(sku("mug"), units(4))]).unwrap();
        let held = shop.reserve(held).await.unwrap();
        let from = cart(&[("mug", 3)]).with_reservation(held.id);
        shop.checkout(from).await.unwrap();
        // Not what was accepted before, and not what is refused.
        assert!(shop.checkout(one).await.unwrap().replayed);
        shop.checkout(cart(&[("pot", 9)])).await.unwrap_err();
        let told = rows(&db.pool).await;
        let expected = [
            row("mug", 1, 2, 9, 0),
            row("mug", 3, 4, 6, 1),
            row("pot", 3, 2, 7, 0),
            row("pot", 2, 3, 5, 0),
        ];
        assert_eq!(told, expected, "{strategy:?}");
        assert_eq!(outbox.calls.load(Relaxed), 3);
        let movements = "SELECT count(*) FROM public.outbox o JOIN optilock.movements m
            ON (m.sku, m.version) = (o.sku, o.version) AND m.stock_after = o.stock AND m.order_id = o.order_id";
        let agree: i64 = sqlx::query_scalar(movements)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(agree, 4);
        assert_books(&db.pool).await;
    }
}

#[tokio::test]
async fn what_it_refuses_did_not_happen() {
    for strategy in STRATEGIES {
        let (db, shop, outbox) = shop(strategy).await;
        add(&shop, "pot", 10).await;
        outbox.refusals.store(1, Relaxed);
        let request = cart(&[("pot", 3)]);
        let refused = shop.checkout(request.clone()).await.unwrap_err();
        assert!(matches!(&refused, Error::Hook { id, .. } if *id == request.order_id()));
        assert_eq!((refused.http_status(), refused.code()), (500, "hook"));
        let source = std::error::Error::source(&refused).unwrap().to_string();
        assert_eq!(source, "the customer is barred");
        assert_eq!(
            (stock_of(&shop, "pot").await, rows(&db.pool).await),
            (10, vec![])
        );
        assert!(
            shop.order(request.order_id())
                .await
                .unwrap_err()
                .is_not_found()
        );
        // A lost race in it is another attempt of the sale.
        outbox.conflicts.store(1, Relaxed);
        shop.checkout(request).await.unwrap();
        assert_eq!(
            rows(&db.pool).await,
            [row("pot", 3, 2, 7, 0)],
            "{strategy:?}"
        );
        assert_eq!(outbox.calls.load(Relaxed), 3);
        assert_books(&db.pool).await;
    }
}

#[tokio::test]
async fn in_the_hosts_transaction_a_refusal_undoes_the_sale_alone() {
    let (db, shop, outbox) = shop(Strategy::Guarded).await;
    add(&shop, "pot", 10).await;
    outbox.refusals.store(1, Relaxed);
    let policy = RetryPolicy::new();
    let sold = transact(&db.pool, &policy, async |tx| {
        let refused = shop.checkout_in(tx, &cart(&[("pot", 1)])).await;
        assert!(matches!(refused, Err(Error::Hook { .. })));
        let order = shop.checkout_in(tx, &cart(&[("pot", 2)])).await?;
        Ok::<_, Error>(order)
    });
    sold.await.unwrap();
    assert_eq!(rows(&db.pool).await, [row("pot", 2, 2, 8, 0)]);
    assert_eq!(stock_of(&shop, "pot").await, 8);
    // It goes with the host's transaction.
    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(rows(&db.pool).await.len(), 1);
    assert_books(&db.pool).await;
}

/// Of all buyers, one takes the stock below the threshold.
async fn told_once(db: &Db, shop: Arc<dyn Inventory>) {
    add(&*shop, "pot", 60).await;
    let mut buyers = tokio::task::JoinSet::new();
    for buyer in 0..40 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let units = 1 + buyer % 3;
            shop.checkout(cart(&[("pot", units)])).await.is_ok()
        });
    }
    let sold = buyers.join_all().await.into_iter().filter(|sold| *sold);
    let told = rows(&db.pool).await;
    assert_eq!(told.len(), sold.count());
    let below = |(_, quantity, _, stock, _): &&Row| *stock < 5 && stock + quantity >= 5;
    assert_eq!(told.iter().filter(below).count(), 1);
    assert_books(&db.pool).await;
}

#[tokio::test]
async fn low_stock_is_told_once() {
    for strategy in STRATEGIES {
        let (db, shop, _) = shop(strategy).await;
        told_once(&db, Arc::new(shop)).await;
    }
    let (db, shop, _) = shop(Strategy::Guarded).await;
    told_once(&db, Arc::new(Combined::new(shop, CombineOptions::new()))).await;
}

/// A transaction that the host began in SQL, which sqlx knows nothing of; and none at all.
#[tokio::test]
async fn in_a_transaction_of_plain_sql_and_outside_of_one() {
    let (db, shop, _) = shop(Strategy::Guarded).await;
    add(&shop, "pot", 10).await;
    let mut conn = db.pool.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
    let request = cart(&[("pot", 1)]);
    shop.checkout_in(&mut conn, &request).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.unwrap();
    assert_eq!(rows(&db.pool).await, []);
    let refused = shop.checkout_in(&mut conn, &request).await.unwrap_err();
    assert_eq!(refused.code(), "database");
    assert_eq!(
        (stock_of(&shop, "pot").await, rows(&db.pool).await),
        (10, vec![])
    );
    drop(conn);
    assert_books(&db.pool).await;
}

#[test]
fn a_hooks_error_is_told_by_its_class() {
    let hook = |source: BoxError| Error::Hook {
        id: optilock::inventory::OrderId::new(),
        source,
    };
    let busy = hook(sqlx::Error::PoolTimedOut.into());
    assert!(busy.is_busy() && !busy.is_conflict() && busy.http_status() == 503);
    let version = optilock::Version::FIRST;
    let lost = hook(optilock::Conflict::new("account", 7, version, version).into());
    assert!(lost.is_conflict() && lost.http_status() == 409);
    assert_eq!(hook("barred".into()).http_status(), 500);
}
