//! The inventory's steps, when their wire is cut or their statements are cancelled.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use optilock::{
    RetryPolicy, Version,
    inventory::{
        Accepted, Adjustment, BoxError, Error, Inventory, OnAccepted, OrderId, PgInventory,
        ReservationId, Reserve, ReturnRequest,
    },
    sqlx::{self, PgConnection, PgPool},
};

use crate::{
    support::db::{Db, Default, assert_quiet, pool_options},
    support::goods::{add, cart, sku, stock, units},
    support::proxy::{Cut, Proxy},
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// Everything that is stored.
async fn stored(pool: &PgPool) -> String {
    let all = "SELECT concat_ws(E'\n',
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.products t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.orders t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.order_lines t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.movements t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.reservations t),
        (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM optilock.holds t))";
    sqlx::query_scalar(all).fetch_one(pool).await.unwrap()
}

const OPERATIONS: [&str; 17] = [
    "mark_paid",
    "mark_payment_failed",
    "cancel",
    "revive",
    "return_items",
    "reserve",
    "extend",
    "release",
    "adjust_stock",
    "add_product",
    "count_stock",
    "update_product",
    "retire_product",
    "pause",
    "resume",
    "checkout",
    "cleanup_failed_orders",
];

struct Things {
    pending: OrderId,
    cancelled: OrderId,
    paid: OrderId,
    held: ReservationId,
}

async fn things(shop: &PgInventory) -> Things {
    add(shop, "pot", 50).await;
    add(shop, "mug", 50).await;
    let two = || cart(&[("pot", 1), ("mug", 1)]);
    let pending = shop.checkout(two()).await.unwrap().id;
    let cancelled = shop.checkout(two()).await.unwrap().id;
    shop.cancel(cancelled, "gone").await.unwrap();
    let paid = shop.checkout(two()).await.unwrap().id;
    shop.mark_paid(paid).await.unwrap();
    let held = Reserve::new([(sku("pot"), units(2))]).unwrap();
    let held = shop.reserve(held).await.unwrap().id;
    Things {
        pending,
        cancelled,
        paid,
        held,
    }
}

async fn run(
    operation: &str,
    shop: &PgInventory,
    it: &Things,
    version: Version,
) -> Result<(), Error> {
    match operation {
        "mark_paid" => shop.mark_paid(it.pending).await.map(drop),
        "mark_payment_failed" => shop.mark_payment_failed(it.pending).await.map(drop),
        "cancel" => shop.cancel(it.pending, "changed my mind").await.map(drop),
        "revive" => shop.revive(it.cancelled).await.map(drop),
        "return_items" => {
            let back = ReturnRequest::new(it.paid, [(sku("pot"), units(1))], "chipped").unwrap();
            shop.return_items(back).await.map(drop)
        }
        "reserve" => shop
            .reserve(Reserve::new([(sku("pot"), units(1))]).unwrap())
            .await
            .map(drop),
        "extend" => shop
            .extend(it.held, Duration::from_secs(7_200))
            .await
            .map(drop),
        "release" => shop.release(it.held).await,
        "adjust_stock" => shop
            .adjust_stock(Adjustment::new(sku("pot"), 3, "found").unwrap())
            .await
            .map(drop),
        "add_product" => shop
            .add_product(crate::support::goods::new_product("new", 3))
            .await
            .map(drop),
        "count_stock" => shop
            .count_stock(&sku("pot"), version, stock(33), "counted")
            .await
            .map(drop),
        "update_product" => {
            let mut pot = shop.product(&sku("pot")).await?;
            pot.name = "Another".to_owned();
            shop.update_product(&pot).await.map(drop)
        }
        "retire_product" => shop.retire_product(&sku("mug"), version).await,
        "pause" => shop.pause(&sku("pot")).await.map(drop),
        "resume" => shop.resume(&sku("mug")).await.map(drop),
        "checkout" => shop
            .checkout(cart(&[("pot", 1), ("mug", 1)]))
            .await
            .map(drop),
        "cleanup_failed_orders" => shop.cleanup_failed_orders(Duration::ZERO).await.map(drop),
        _ => unreachable!(),
    }
}

/// "Not done" means that nothing is stored. The wire is cut before or after each of
/// an operation's statements.
#[tokio::test(flavor = "multi_thread")]
async fn no_operation_denies_what_it_stored_when_the_wire_is_cut() {
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..5 {
                let db = Db::new().await;
                let direct = PgInventory::new(db.pool.clone());
                let it = things(&direct).await;
                let which = if operation == "retire_product" {
                    "mug"
                } else {
                    "pot"
                };
                let version = direct.product(&sku(which)).await.unwrap().version;
                let proxy = Proxy::new(&db).await;
                let shop = PgInventory::new(proxy.pool(1).await).with_policy(ONCE);
                let before = stored(&db.pool).await;
                proxy.trap_after(after, cut.clone());
                let answer = run(operation, &shop, &it, version).await;
                if proxy.disarm() {
                    break;
                }
                assert_quiet(&db.pool).await;
                if let Err(error) = answer
                    && !error.is_unknown()
                    && stored(&db.pool).await != before
                {
                    wrong.push(format!(
                        "{operation}, {cut:?} after {after} statements: {error}; {:?}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same where the second statement is cancelled: by the role's statement_timeout, as order_lines are
/// locked by another session's ALTER TABLE.
#[tokio::test(flavor = "multi_thread")]
async fn no_step_denies_what_it_stored_when_its_second_statement_is_cancelled() {
    let mut wrong = Vec::new();
    for operation in ["mark_paid", "mark_payment_failed"] {
        let db = Db::new().await;
        let it = things(&PgInventory::new(db.pool.clone())).await;
        let pool = pool_options(2)
            .connect_with(
                db.database
                    .options()
                    .options([("statement_timeout", "300ms")]),
            )
            .await
            .unwrap();
        let shop = PgInventory::new(pool);
        let before = stored(&db.pool).await;
        let mut locked = db.pool.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE optilock.order_lines IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *locked)
            .await
            .unwrap();
        let answer = run(operation, &shop, &it, Version::FIRST).await;
        locked.rollback().await.unwrap();
        if let Err(error) = answer
            && !error.is_unknown()
            && stored(&db.pool).await != before
        {
            wrong.push(format!("{operation}: {error} {:?}", error.code()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

struct Outbox;

#[async_trait::async_trait]
impl OnAccepted for Outbox {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        sqlx::query("INSERT INTO public.outbox VALUES ($1)")
            .bind(accepted.order.id.uuid())
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// A hooked sale dropped midway, under each isolation level, and with a second try of the host's in the same
/// transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_hooked_sale_dropped_at_each_poll_at_each_level() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        for again in [false, true] {
            let db = Db::with(default, 4).await;
            sqlx::raw_sql("CREATE TABLE public.outbox (id uuid)")
                .execute(&db.pool)
                .await
                .unwrap();
            let shop = PgInventory::new(db.pool.clone()).with_hook(Arc::new(Outbox));
            add(&shop, "pot", 500).await;
            for polls in 1..25 {
                let request = cart(&[("pot", 1)]);
                let mut tx = db.pool.begin().await.unwrap();
                let done = {
                    let mut sale = pin!(shop.checkout_in(&mut tx, &request));
                    let mut done = false;
                    for _ in 0..polls {
                        done =
                            poll_fn(|context| Poll::Ready(sale.as_mut().poll(context).is_ready()))
                                .await;
                        if done {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    done
                };
                if again && !done {
                    let _ = shop.checkout_in(&mut tx, &request).await;
                }
                let _ = tx.commit().await;
                let (orders, told): (i64, i64) = sqlx::query_as(
                    "SELECT (SELECT count(*) FROM optilock.orders), (SELECT count(*) FROM public.outbox)",
                )
                .fetch_one(&db.pool)
                .await
                .unwrap();
                assert_eq!(orders, told, "{default:?} {polls} polls, again: {again}");
                if done {
                    break;
                }
            }
        }
    }
}

/// DDL under running connections, for every operation.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_after_a_change_of_the_schema() {
    let db = Db::new().await;
    let pool = pool_options(1)
        .connect_with(db.database.options().options([("search_path", "")]))
        .await
        .unwrap();
    let shop = PgInventory::new(pool);
    let mut wrong = Vec::new();
    for (round, ddl) in [
        "",
        "ALTER TABLE optilock.products ADD COLUMN extra text; ALTER TABLE optilock.orders ADD COLUMN extra text",
        "ALTER TABLE optilock.products ALTER COLUMN name TYPE varchar(500)",
        "ALTER TABLE optilock.orders ALTER COLUMN customer TYPE varchar(500);
         ALTER TABLE optilock.order_lines ALTER COLUMN name TYPE varchar(500)",
        "CREATE INDEX ON optilock.products (name)",
    ]
    .into_iter()
    .enumerate()
    {
        if let Err(error) = sqlx::raw_sql(ddl).execute(&db.pool).await {
            println!("{ddl}: {error}");
        }
        for operation in OPERATIONS {
            let names = [format!("pot{round}{operation}"), format!("mug{round}{operation}")];
            for name in &names {
                add(&PgInventory::new(db.pool.clone()), name, 50).await;
            }
            let lines = || cart(&[(&names[0], 1), (&names[1], 1)]);
            let direct = PgInventory::new(db.pool.clone());
            let order = direct.checkout(lines()).await.unwrap().id;
            let gone = direct.checkout(lines()).await.unwrap().id;
            direct.cancel(gone, "gone").await.unwrap();
            let paid = direct.checkout(lines()).await.unwrap().id;
            direct.mark_paid(paid).await.unwrap();
            let held = direct.reserve(Reserve::new([(sku(&names[0]), units(2))]).unwrap()).await.unwrap().id;
            let product = direct.product(&sku(&names[0])).await.unwrap();
            let answer = match operation {
                "mark_paid" => shop.mark_paid(order).await.map(drop),
                "mark_payment_failed" => shop.mark_payment_failed(order).await.map(drop),
                "cancel" => shop.cancel(order, "no").await.map(drop),
                "revive" => shop.revive(gone).await.map(drop),
                "return_items" => shop.return_items(ReturnRequest::new(paid, [(sku(&names[0]), units(1))], "x").unwrap()).await.map(drop),
                "reserve" => shop.reserve(Reserve::new([(sku(&names[0]), units(1))]).unwrap()).await.map(drop),
                "extend" => shop.extend(held, Duration::from_secs(7_200)).await.map(drop),
                "release" => shop.release(held).await,
                "adjust_stock" => shop.adjust_stock(Adjustment::new(sku(&names[0]), 3, "x").unwrap()).await.map(drop),
                "add_product" => shop.add_product(crate::support::goods::new_product(&format!("new{round}"), 3)).await.map(drop),
                "count_stock" => shop.count_stock(&product.sku, product.version, stock(33), "x").await.map(drop),
                "update_product" => shop.update_product(&product).await.map(drop),
                "retire_product" => shop.retire_product(&product.sku, product.version).await,
                "pause" => shop.pause(&product.sku).await.map(drop),
                "resume" => shop.resume(&product.sku).await.map(drop),
                "checkout" => shop.checkout(lines()).await.map(drop),
                _ => shop.cleanup_failed_orders(Duration::from_secs(3_600)).await.map(drop),
            };
            if let Err(error) = answer {
                wrong.push(format!("round {round} {operation}: {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
