//! A reader gets each order once, in whichever order the transactions commit.

use optilock::{
    inventory::{Inventory, OrderId, OrderStatus, OutboxEntry, OutboxPosition, PgInventory},
    sqlx::{self, Connection, PgConnection},
};

use super::{orders, read_until, stored};
use crate::{
    support::db::{Db, Default},
    support::goods::{add, cart},
};

fn ids(entries: &[OutboxEntry]) -> Vec<OrderId> {
    entries.iter().map(|entry| entry.order.id).collect()
}

async fn shop() -> (Db, PgInventory) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "mug", 1_000).await;
    add(&shop, "pot", 1_000).await;
    (db, shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_each_order_once_when_the_first_transaction_commits_last() {
    let (db, shop) = shop().await;
    let mut position = OutboxPosition::START;
    let (first, second) = (cart(&[("pot", 1)]), cart(&[("mug", 2)]));
    let mut open = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut open, &first).await.unwrap();
    // The second transaction begins later and commits earlier.
    shop.checkout(second.clone()).await.unwrap();
    let page = shop.outbox_since(&position, 10).await.unwrap();
    assert_eq!((page.entries, page.next), (vec![], position));
    // Nor does the first transaction read what it wrote.
    let own = shop
        .outbox_since_in(&mut open, &position, 10)
        .await
        .unwrap();
    assert_eq!(own.entries, []);
    open.commit().await.unwrap();
    let read = read_until(&shop, &mut position, 10, 2).await;
    assert_eq!(ids(&read), [first.order_id(), second.order_id()]);
    let third = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let read = read_until(&shop, &mut position, 10, 1).await;
    assert_eq!(ids(&read), [third.id]);
    assert_eq!(read[0].order, third);
}

/// The positions of a reader are between those of transactions that overlap in every way.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_no_order_of_overlapping_transactions() {
    let (db, shop) = shop().await;
    let (mut position, mut read) = (OutboxPosition::START, Vec::new());
    let mut open = std::collections::VecDeque::new();
    for step in 0..30_usize {
        let mut tx = db.pool.begin().await.unwrap();
        // Products differ, so that no transaction waits for another one.
        let name = format!("dish {step}");
        add(&shop, &name, 5).await;
        shop.checkout_in(&mut tx, &cart(&[(&name, 1)]))
            .await
            .unwrap();
        open.push_back(tx);
        if step % 2 == 0 {
            shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        }
        if open.len() == 6 {
            // Not the oldest one, every second time.
            let tx = open.remove(step % 4).unwrap();
            if step % 5 == 0 {
                tx.rollback().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
        }
        let page = shop.outbox_since(&position, 3).await.unwrap();
        position = page.next;
        read.extend(page.entries);
    }
    for tx in open {
        tx.commit().await.unwrap();
    }
    let all = orders(&db.pool).await;
    read.extend(read_until(&shop, &mut position, 3, all.len() - read.len()).await);
    let mut read = ids(&read);
    read.sort();
    assert_eq!(read, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_end_between_orders_of_one_transaction() {
    let (db, shop) = shop().await;
    let mut tx = db.pool.begin().await.unwrap();
    for _ in 0..10 {
        let request = cart(&[("mug", 1), ("pot", 1)]);
        shop.checkout_in(&mut tx, &request).await.unwrap();
    }
    tx.commit().await.unwrap();
    for limit in [0, 1, 3, 10, u32::MAX] {
        let mut position = OutboxPosition::START;
        let read = read_until(&shop, &mut position, limit, 10).await;
        assert_eq!(ids(&read), stored(&db.pool).await, "{limit}");
        assert!(read.iter().all(|entry| entry.order.lines.len() == 2));
        assert!(read.is_sorted_by_key(|entry| entry.position));
    }
    let page = shop.outbox_since(&OutboxPosition::START, 4).await.unwrap();
    assert_eq!(page.entries.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_has_its_order_as_it_is_now() {
    let (db, shop) = shop().await;
    let paid = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let deleted = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let cancelled = cart(&[("mug", 1), ("pot", 2)]).with_customer("ana");
    let cancelled = shop.checkout(cancelled).await.unwrap();
    shop.mark_paid(paid.id).await.unwrap();
    shop.cancel(cancelled.id, "late").await.unwrap();
    // By other code than the crate.
    sqlx::query("DELETE FROM optilock.orders WHERE id = $1")
        .bind(deleted.id.uuid())
        .execute(&db.pool)
        .await
        .unwrap();
    let mut position = OutboxPosition::START;
    let read = read_until(&shop, &mut position, 2, 2).await;
    assert_eq!(ids(&read), [paid.id, cancelled.id]);
    assert_eq!(read[0].order.status, OrderStatus::Paid);
    let order = &read[1].order;
    assert_eq!(order.status, OrderStatus::Cancelled);
    assert_eq!(order.customer.as_deref(), Some("ana"));
    assert_eq!((order.total, order.lines.len()), (cancelled.total, 2));
}

/// A session with another default isolation level reads in its own transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_a_serializable_transaction_reads_its_snapshot() {
    let (db, shop) = shop().await;
    let first = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    read_until(&shop, &mut OutboxPosition::START.clone(), 9, 1).await;
    let options = db.database.options();
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
    sqlx::raw_sql(begin).execute(&mut conn).await.unwrap();
    let page = shop
        .outbox_since_in(&mut conn, &OutboxPosition::START, 9)
        .await;
    assert_eq!(ids(&page.unwrap().entries), [first.id]);
    let second = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let page = shop
        .outbox_since_in(&mut conn, &OutboxPosition::START, 9)
        .await;
    assert_eq!(ids(&page.unwrap().entries), [first.id]);
    drop(conn);
    let read = read_until(&shop, &mut OutboxPosition::START.clone(), 9, 2).await;
    assert_eq!(ids(&read), [first.id, second.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_acknowledgements_use_the_index() {
    // The pool has one connection, so that all its statistics can be flushed.
    let db = Db::with(Default::ReadCommitted, 1).await;
    let shop = PgInventory::new(db.pool.clone());
    let entries = "INSERT INTO optilock.outbox (transaction_id, order_id)
            SELECT 1 + n / 100, gen_random_uuid() FROM generate_series(1, 50000) AS n;
        INSERT INTO optilock.orders (id, total, currency)
            SELECT order_id, 0, 'MXN' FROM optilock.outbox";
    sqlx::raw_sql(entries).execute(&db.pool).await.unwrap();
    let analyze = "VACUUM ANALYZE optilock.outbox";
    sqlx::raw_sql(analyze).execute(&db.pool).await.unwrap();
    let mut position = OutboxPosition::START;
    for _ in 0..10 {
        let page = shop.outbox_since(&position, 1_000).await.unwrap();
        assert_eq!(page.entries.len(), 1_000);
        position = page.next;
        assert_eq!(shop.acknowledge_outbox(&position).await.unwrap(), 1_000);
    }
    let flush = "SELECT pg_stat_force_next_flush()";
    sqlx::query(flush).execute(&db.pool).await.unwrap();
    let scans =
        "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'optilock.outbox'::regclass";
    let scans: i64 = sqlx::query_scalar(scans).fetch_one(&db.pool).await.unwrap();
    // The insert of the orders reads the outbox once.
    assert_eq!(scans, 1, "sequential scans");
}
