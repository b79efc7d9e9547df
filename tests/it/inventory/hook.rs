//! What a host does in the sale's transaction: it is there when the order is.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Poll,
};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BatchOptions, BatchedInventory, BoxError, Checkout, Error, Inventory, OnAccepted,
        Order, OrderId, PgInventory, Reserve, Strategy,
    },
    postgres::transact,
    sqlx::{self, AssertSqlSafe, PgConnection, PgPool},
};

use tokio::task::yield_now;

use crate::{
    support::db::{Db, assert_books},
    support::goods::{add, cart, sku, stock_of, units},
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
        // A sweep over polls meets the hook, however quick the database is.
        yield_now().await;
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
        yield_now().await;
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
    told_once(
        &db,
        Arc::new(BatchedInventory::new(shop, BatchOptions::new())),
    )
    .await;
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

/// What `operation` returns, unless it takes more than `polls` polls: then it is dropped.
async fn within<T>(polls: u32, operation: impl Future<Output = T>) -> Option<T> {
    let (mut operation, mut left) = (pin!(operation), polls);
    poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => {
            left -= 1;
            if left == 0 {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

async fn count(pool: &PgPool, sql: &'static str, id: OrderId) -> i64 {
    let count = sqlx::query_scalar(sql).bind(id.uuid()).fetch_one(pool);
    count.await.unwrap()
}

/// The order's rows: in the shop, in the outbox, in the host's own table, and those unfinished.
async fn stored(pool: &PgPool, id: OrderId) -> (i64, i64, i64, i64) {
    (
        count(
            pool,
            "SELECT count(*) FROM optilock.orders WHERE id = $1",
            id,
        )
        .await,
        count(
            pool,
            "SELECT count(*) FROM public.outbox WHERE order_id = $1",
            id,
        )
        .await,
        count(
            pool,
            "SELECT count(*) FROM public.deliveries WHERE order_id = $1",
            id,
        )
        .await,
        count(
            pool,
            "SELECT count(*) FROM optilock.unfinished_sales WHERE $1 IS NOT NULL",
            id,
        )
        .await,
    )
}

/// One transaction of the host's: `checkout_in`, dropped after `polls` polls, then a row of its own, then
/// `COMMIT`. What the checkout and the commit said.
async fn host_transaction(
    pool: &PgPool,
    shop: &PgInventory,
    request: &Checkout,
    before: &'static str,
    polls: u32,
) -> (Option<Result<Order, Error>>, Result<(), sqlx::Error>) {
    let mut tx = pool.begin().await.unwrap();
    sqlx::raw_sql(before).execute(&mut *tx).await.unwrap();
    let sold = within(polls, shop.checkout_in(&mut tx, request)).await;
    sqlx::query("INSERT INTO public.deliveries VALUES ($1)")
        .bind(request.order_id().uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    (sold, tx.commit().await)
}

fn assert_unfinished(error: &sqlx::Error) {
    let error = error.as_database_error().unwrap();
    assert_eq!(error.code().unwrap(), "23503", "{error}");
    assert_eq!(error.constraint(), Some("sale_needs_its_hook"));
}

async fn with_deliveries() -> (Db, PgInventory, Arc<Outbox>) {
    let (db, shop, outbox) = shop(Strategy::Guarded).await;
    let table = "CREATE TABLE public.deliveries (order_id uuid)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    add(&shop, "pot", 10_000).await;
    add(&shop, "mug", 10_000).await;
    (db, shop, outbox)
}

/// A sale whose hook was not called, or not to its end, is not stored, whatever the host commits.
#[tokio::test]
async fn dropped_after_every_poll_in_the_hosts_transaction() {
    let (db, shop, _) = with_deliveries().await;
    for before in ["", "SET CONSTRAINTS ALL IMMEDIATE"] {
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 2)]] {
            let mut unfinished = 0;
            for polls in 1.. {
                assert!(polls < 200, "it never ends");
                let request = cart(&lines);
                let (sold, committed) =
                    host_transaction(&db.pool, &shop, &request, before, polls).await;
                let stored = stored(&db.pool, request.order_id()).await;
                let label = format!("{before}, {lines:?}, dropped after {polls} polls");
                if let Err(error) = &committed {
                    assert_unfinished(error);
                    unfinished += 1;
                    assert_eq!(stored, (0, 0, 0, 0), "{label}");
                } else if stored.0 == 0 {
                    assert_eq!(stored, (0, 0, 1, 0), "{label}");
                } else {
                    assert_eq!(stored, (1, lines.len() as i64, 1, 0), "{label}");
                }
                if let Some(sold) = sold {
                    sold.unwrap();
                    committed.unwrap();
                    assert_eq!(stored.0, 1);
                    break;
                }
            }
            assert!(unfinished > 0, "no commit was refused");
        }
    }
    assert_books(&db.pool).await;
}

/// A replay, and a sale that the hook refuses, dropped after every poll.
#[tokio::test]
async fn dropped_replays_and_refusals_in_the_hosts_transaction() {
    let (db, shop, outbox) = with_deliveries().await;
    let request = cart(&[("pot", 1)]);
    let first = host_transaction(&db.pool, &shop, &request, "", u32::MAX).await;
    first.1.unwrap();
    for polls in 1.. {
        assert!(polls < 200, "it never ends");
        let again = host_transaction(&db.pool, &shop, &request, "", polls).await;
        if let Err(error) = &again.1 {
            assert_unfinished(error);
        }
        let stored = stored(&db.pool, request.order_id()).await;
        assert_eq!((stored.0, stored.1, stored.3), (1, 1, 0));
        if let Some(order) = again.0 {
            assert!(order.unwrap().replayed);
            again.1.unwrap();
            break;
        }
    }
    for polls in 1.. {
        assert!(polls < 200, "it never ends");
        outbox.refusals.store(1, Relaxed);
        let request = cart(&[("pot", 1)]);
        let refused = host_transaction(&db.pool, &shop, &request, "", polls).await;
        let stored = stored(&db.pool, request.order_id()).await;
        match &refused.1 {
            Ok(()) => assert_eq!(stored, (0, 0, 1, 0), "after {polls} polls"),
            Err(error) => {
                assert_unfinished(error);
                assert_eq!(stored, (0, 0, 0, 0), "after {polls} polls");
            }
        }
        if let Some(sold) = refused.0 {
            assert!(matches!(sold, Err(Error::Hook { .. })));
            refused.1.unwrap();
            break;
        }
    }
    assert_books(&db.pool).await;
}

/// A trigger swallows the row that makes `COMMIT` fail, or keeps it.
#[tokio::test]
async fn a_trigger_on_unfinished_sales() {
    let (db, shop, _) = with_deliveries().await;
    let function = "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RETURN NULL; END'";
    sqlx::query(function).execute(&db.pool).await.unwrap();
    for on in ["INSERT", "DELETE"] {
        let trigger = format!(
            "CREATE TRIGGER swallow BEFORE {on} ON optilock.unfinished_sales
                 FOR EACH ROW EXECUTE FUNCTION public.swallow()"
        );
        let trigger = sqlx::query(AssertSqlSafe(trigger));
        trigger.execute(&db.pool).await.unwrap();
        let request = cart(&[("pot", 1)]);
        let (sold, committed) = host_transaction(&db.pool, &shop, &request, "", u32::MAX).await;
        let stored = stored(&db.pool, request.order_id()).await;
        if on == "INSERT" {
            let refused = sold.unwrap().unwrap_err();
            assert!(matches!(refused, Error::Suppressed { .. }), "{refused:?}");
            assert_eq!(stored, (0, 0, 1, 0));
        } else {
            assert_unfinished(&committed.unwrap_err());
            assert_eq!(stored, (0, 0, 0, 0));
        }
        let drop = "DROP TRIGGER swallow ON optilock.unfinished_sales";
        sqlx::query(drop).execute(&db.pool).await.unwrap();
    }
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
