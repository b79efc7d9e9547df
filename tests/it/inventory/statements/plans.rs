//! The plans of clean-ups, which run every minute and read no whole table; and of checkouts of one line, whose
//! statements are planned once per connection, and of steps, which are planned while the tables are small.

use std::time::Duration;

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Inventory, OrderFilter, OrderStep, Page, PgInventory,
        Reserve, ReturnRequest, Strategy, statements,
    },
    sqlx::{self, AssertSqlSafe, Executor, PgPool, SqlSafeStr},
};

use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default},
    support::goods::{add, cart, sku, units},
};

/// Returns how many scans of the index and how many sequential scans of its table were counted.
async fn scans(pool: &PgPool, index: &str) -> (i64, i64) {
    // The pool has one connection, so this flushes all its statistics.
    let flush = "SELECT pg_stat_force_next_flush()";
    sqlx::query(flush).execute(pool).await.unwrap();
    let scans = "SELECT i.idx_scan, t.seq_scan FROM pg_stat_user_indexes i
        JOIN pg_stat_user_tables t ON t.relid = i.relid WHERE i.indexrelname = $1";
    let scans = sqlx::query_as(scans).bind(index).fetch_one(pool);
    scans.await.unwrap()
}

#[tokio::test]
async fn clean_ups_use_their_indexes() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    // Rows as after a year: nearly all orders are paid and nearly all holds ended.
    sqlx::raw_sql(
        "INSERT INTO optilock.orders (id, status, total, currency)
             SELECT gen_random_uuid(), 2, 0, 'MXN' FROM generate_series(1, 20000);
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, state, expires_at)
             SELECT gen_random_uuid(), 'pot', 1, 1, 3, now() - interval '1 day' FROM generate_series(1, 20000);
         ANALYZE optilock.orders; ANALYZE optilock.holds",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    for _ in 0..3 {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        let held = Reserve::new([(sku("pot"), units(1))]).unwrap();
        let held = held.for_duration(Duration::from_micros(1));
        shop.reserve(held).await.unwrap();
    }
    let orders = scans(&db.pool, "orders_unpaid").await;
    let holds = scans(&db.pool, "holds_due").await;
    let cancelled = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!(cancelled.orders, 3);
    let expired = shop.cleanup_reservations().await.unwrap();
    assert_eq!(expired.holds, 3);
    let after = scans(&db.pool, "orders_unpaid").await;
    assert!(
        after.0 > orders.0,
        "the index was not used: {orders:?}, {after:?}"
    );
    assert_eq!(after.1, orders.1, "the whole table of orders was read");
    let after = scans(&db.pool, "holds_due").await;
    assert!(
        after.0 > holds.0,
        "the index was not used: {holds:?}, {after:?}"
    );
    assert_eq!(after.1, holds.1, "the whole table of holds was read");
}

/// A customer's page reads the customer's orders only, in both directions.
#[tokio::test]
async fn a_page_of_a_customers_orders_uses_the_index() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    sqlx::raw_sql(
        "INSERT INTO optilock.orders (id, customer, status, total, currency)
             SELECT gen_random_uuid(), 'customer ' || n % 500, 2, 0, 'MXN' FROM generate_series(1, 20000) n;
         ANALYZE optilock.orders",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let before = scans(&db.pool, "orders_of_customer").await;
    let of = || OrderFilter::all().with_customer("customer 7");
    for filter in [of(), of().newest_first()] {
        // The sixth time and later by a plan for all customers.
        for _ in 0..8 {
            let page = shop.orders(filter.clone(), Page::first(10)).await.unwrap();
            assert_eq!(page.len(), 10);
        }
    }
    let after = scans(&db.pool, "orders_of_customer").await;
    assert_eq!(after.0 - before.0, 16, "the index was not used each time");
    assert_eq!(after.1, before.1, "the whole table of orders was read");
}

/// PostgreSQL keeps a plan for all values of the parameters from the sixth execution on, if it seems to cost no
/// more than plans for the values.
#[tokio::test]
async fn checkouts_of_one_line_are_planned_once() {
    const TIMES: i64 = 8;
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let shop = shop.clone().with_strategy(strategy);
        for number in 0..TIMES {
            shop.checkout(cart(&[("pot", 1)])).await.unwrap();
            let keyed = cart(&[("pot", 1)]).with_idempotency_key(format!("{strategy:?} {number}"));
            shop.checkout(keyed).await.unwrap();
            let too_many = shop.checkout(cart(&[("pot", 1_000)])).await;
            assert!(too_many.unwrap_err().is_insufficient_stock());
            let held = shop.reserve(Reserve::new([(sku("pot"), units(1))]).unwrap());
            let held = cart(&[("pot", 1)]).with_reservation(held.await.unwrap().id);
            shop.checkout(held).await.unwrap();
        }
    }
    let plans = "SELECT statement, generic_plans FROM pg_prepared_statements
        WHERE strpos(statement, '$1::text') > 0 AND strpos(statement, '$1::text[]') = 0 
            AND generic_plans + custom_plans >= $1";
    let plans: Vec<(String, i64)> = sqlx::query_as(plans)
        .bind(TIMES)
        .fetch_all(&db.pool)
        .await
        .unwrap();
    for (statement, generic) in &plans {
        assert!(*generic > 0, "planned each time: {statement}");
    }
    // sell_one, sell_many, sell_held, glance, facts, expired and lock.
    assert_eq!(plans.len(), 7, "{plans:?}");
}

/// Plans that are kept from a time at which the tables were small.
#[tokio::test]
async fn a_step_of_an_order_reads_no_other_orders() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    add(&shop, "pot", 100_000).await;
    // Statistics would make new plans.
    let keep = "ALTER TABLE optilock.orders SET (autovacuum_enabled = off);
        ALTER TABLE optilock.order_lines SET (autovacuum_enabled = off)";
    sqlx::raw_sql(keep).execute(&db.pool).await.unwrap();
    let steps = [OrderStep::mark_paid, OrderStep::mark_payment_failed, |id| {
        OrderStep::cancel(id, "changed my mind")
    }];
    let step_all = async || {
        for step in steps {
            let id = shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
            shop.step(step(id)).await.unwrap();
            // On one thread the worker starts after all of them have joined the queue.
            let mut queued = JoinSet::new();
            for _ in 0..16 {
                let id = shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
                let batched = batched.clone();
                queued.spawn(async move { batched.step(step(id)).await.unwrap() });
            }
            queued.join_all().await;
        }
    };
    for _ in 0..8 {
        step_all().await;
    }
    let grow = "INSERT INTO optilock.orders (id, total, currency)
            SELECT gen_random_uuid(), 0, 'MXN' FROM generate_series(1, 20000);
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT id, 'mug', 1, 0 FROM optilock.orders WHERE total = 0";
    sqlx::raw_sql(grow).execute(&db.pool).await.unwrap();
    let read = async || {
        let flush = "SELECT pg_stat_force_next_flush()";
        sqlx::query(flush).execute(&db.pool).await.unwrap();
        let read = "SELECT (sum(t.seq_tup_read) + sum(i.idx_tup_read))::bigint FROM pg_stat_user_tables t
            LEFT JOIN pg_stat_user_indexes i ON i.relid = t.relid AND i.indexrelname = 'orders_unpaid'
            WHERE t.relname IN ('orders', 'order_lines')";
        let read = sqlx::query_scalar::<_, i64>(read).fetch_one(&db.pool);
        read.await.unwrap()
    };
    let before = read().await;
    step_all().await;
    let read = read().await - before;
    assert!(read < 1_000, "{read} rows were read");
}

/// Batches whose plans are kept from a time at which the tables were small.
#[tokio::test]
async fn a_batch_reads_no_other_rows() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    add(&shop, "pot", 100_000).await;
    // Statistics would make new plans.
    for table in ["orders", "order_lines", "reservations", "holds"] {
        let keep = format!("ALTER TABLE optilock.{table} SET (autovacuum_enabled = off)");
        sqlx::raw_sql(AssertSqlSafe(keep))
            .execute(&db.pool)
            .await
            .unwrap();
    }
    for _ in 0..8 {
        sell_and_undo(&batched).await;
    }
    let grow = "INSERT INTO optilock.orders (id, total, currency)
            SELECT gen_random_uuid(), 0, 'MXN' FROM generate_series(1, 20000);
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT id, 'mug', 1, 0 FROM optilock.orders WHERE total = 0;
        INSERT INTO optilock.reservations (id, remaining)
            SELECT gen_random_uuid(), 1 FROM generate_series(1, 20000);
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
            SELECT id, 'mug', 1, 1, now() + interval '1 day' FROM optilock.reservations";
    sqlx::raw_sql(grow).execute(&db.pool).await.unwrap();
    let read = async || {
        let flush = "SELECT pg_stat_force_next_flush()";
        sqlx::query(flush).execute(&db.pool).await.unwrap();
        let read = "SELECT relname::text, seq_tup_read::bigint FROM pg_stat_user_tables
                WHERE schemaname = 'optilock'
            UNION ALL SELECT indexrelname::text, idx_tup_read::bigint FROM pg_stat_user_indexes
                WHERE indexrelname IN ('orders_unpaid', 'holds_of_product', 'holds_due') ORDER BY 1";
        let read = sqlx::query_as::<_, (String, i64)>(read).fetch_all(&db.pool);
        read.await.unwrap()
    };
    let before = read().await;
    sell_and_undo(&batched).await;
    for ((name, before), (_, after)) in before.into_iter().zip(read().await) {
        assert!(after - before < 1_000, "{} rows by {name}", after - before);
    }
}

/// Makes requests of every kind, sixteen in each batch.
async fn sell_and_undo(batched: &BatchedInventory) {
    // On one thread the worker starts after all of them have joined the queue.
    let reserve = || Reserve::new([(sku("pot"), units(1))]).unwrap();
    let held = at_once(16, |_| {
        let batched = batched.clone();
        async move { batched.reserve(reserve()).await.unwrap().id }
    });
    let held = held.await;
    let hour = Duration::from_secs(3_600);
    at_once(16, |number| {
        let (batched, id) = (batched.clone(), held[number]);
        async move { batched.extend(id, hour).await.unwrap() }
    })
    .await;
    let bought = at_once(16, |number| {
        let (batched, id) = (batched.clone(), held[number]);
        let request = cart(&[("pot", 1)]).with_reservation(id);
        async move { batched.checkout(request).await.unwrap().id }
    });
    let bought = bought.await;
    at_once(16, |number| {
        let (batched, id) = (batched.clone(), bought[number]);
        let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
        async move {
            batched.mark_paid(id).await.unwrap();
            batched.return_items(back).await.unwrap();
        }
    })
    .await;
    let others = at_once(16, |_| {
        let batched = batched.clone();
        async move {
            let held = batched.reserve(reserve()).await.unwrap().id;
            (
                held,
                batched.checkout(cart(&[("pot", 1)])).await.unwrap().id,
            )
        }
    });
    let others = others.await;
    at_once(16, |number| {
        let (batched, (held, order)) = (batched.clone(), others[number]);
        async move {
            batched.release(held).await.unwrap();
            batched.cancel(order, "changed my mind").await.unwrap();
        }
    })
    .await;
}

async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let mut calls = JoinSet::new();
    for number in 0..count {
        calls.spawn(call(number));
    }
    calls.join_all().await
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let db = Db::with(Default::ReadCommitted, 1).await;
    for (name, text) in statements() {
        let prepared = db.pool.prepare(text.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}
