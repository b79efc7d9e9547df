//! Acknowledged entries are deleted, and no others.

use optilock::{
    RetryPolicy,
    inventory::{Error, ErrorKind, OutboxPosition, PgInventory},
    postgres::transact,
    sqlx::{self, PgPool},
};

use super::{read_until, stored};
use crate::{
    support::db::{
        Db, Default, assert_balanced, assert_idle, deadlocks, eventually, pool_options,
        sessions_waiting, with_role,
    },
    support::goods::{add, cart},
    support::triggers::{SWALLOW, add_trigger, drop_trigger, run},
};

/// Returns an inventory with the entries of this many orders, and their positions.
async fn shop_with(db: &Db, count: usize) -> (PgInventory, Vec<OutboxPosition>) {
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "pot", 1_000).await;
    let mut transaction = db.pool.begin().await.unwrap();
    for _ in 0..count {
        let request = cart(&[("pot", 1)]);
        shop.checkout_in(&mut transaction, &request).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let read = read_until(&shop, &mut OutboxPosition::START.clone(), 1_000, count).await;
    let positions = read.iter().map(|entry| entry.position).collect();
    (shop, positions)
}

/// Stores entries of a transaction before all others. Returns the position of the last one.
async fn store_entries(pool: &PgPool, count: i64) -> OutboxPosition {
    let entries = "INSERT INTO optilock.outbox (transaction_id, order_id)
        SELECT 2, gen_random_uuid() FROM generate_series(1, $1)";
    sqlx::query(entries)
        .bind(count)
        .execute(pool)
        .await
        .unwrap();
    "2/ffffffff-ffff-ffff-ffff-ffffffffffff".parse().unwrap()
}

async fn count(pool: &PgPool) -> usize {
    stored(pool).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_up_to_the_position_are_deleted() {
    let db = Db::new().await;
    let (shop, positions) = shop_with(&db, 6).await;
    let acknowledge = async |position| shop.acknowledge_outbox(position).await.unwrap();
    assert_eq!(acknowledge(&OutboxPosition::START).await, 0);
    assert_eq!(acknowledge(&positions[1]).await, 2);
    assert_eq!(acknowledge(&positions[1]).await, 0);
    let left = read_until(&shop, &mut OutboxPosition::START.clone(), 10, 4).await;
    assert_eq!(left[0].position, positions[2]);
    // A later entry stays, also in a transaction that is not committed yet.
    let mut open = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut open, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    assert_eq!(acknowledge(&positions[5]).await, 4);
    open.commit().await.unwrap();
    assert_eq!(count(&db.pool).await, 1);
    assert_balanced(&db.pool).await;
}

/// The statements of one acknowledgement record how many rows each deletes.
#[tokio::test(flavor = "multi_thread")]
async fn many_entries_are_deleted_in_pieces() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let last = store_entries(&db.pool, 2_500).await;
    run(
        &db.pool,
        "CREATE TABLE public.pieces (deleted bigint, transaction xid8);
         CREATE FUNCTION public.record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.pieces SELECT count(*), pg_current_xact_id() FROM deleted; RETURN NULL;
         END $$;
         CREATE TRIGGER record AFTER DELETE ON optilock.outbox REFERENCING OLD TABLE AS deleted
             FOR EACH STATEMENT EXECUTE FUNCTION public.record()",
    )
    .await;
    assert_eq!(shop.acknowledge_outbox(&last).await.unwrap(), 2_500);
    assert_eq!(count(&db.pool).await, 0);
    let pieces = "SELECT deleted FROM public.pieces ORDER BY transaction";
    let pieces: Vec<i64> = sqlx::query_scalar(pieces)
        .fetch_all(&db.pool)
        .await
        .unwrap();
    assert_eq!(pieces, [1_000, 1_000, 500]);
    let transactions = "SELECT count(DISTINCT transaction::text) FROM public.pieces";
    let transactions: i64 = sqlx::query_scalar(transactions)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(transactions, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_acknowledgements_delete_each_entry_once() {
    for default in [Default::ReadCommitted, Default::Serializable] {
        let db = Db::with(default, 8).await;
        let shop = PgInventory::new(db.pool.clone());
        let last = store_entries(&db.pool, 5_500).await;
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let shop = shop.clone();
            calls.spawn(async move { shop.acknowledge_outbox(&last).await.unwrap() });
        }
        let deleted: u64 = calls.join_all().await.iter().sum();
        assert_eq!(deleted, 5_500);
        assert_eq!(count(&db.pool).await, 0);
        assert_eq!(deadlocks(&db.pool).await, 0);
        assert_idle(&db.pool).await;
    }
}

/// The host records each order in the transaction that acknowledges it.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_commits_and_rolls_back_with_the_hosts_rows() {
    let db = Db::new().await;
    let (shop, positions) = shop_with(&db, 3).await;
    let table = "CREATE TABLE public.published (order_id uuid PRIMARY KEY)";
    run(&db.pool, table).await;
    let policy = RetryPolicy::new();
    let publish = async |fails: bool| {
        transact(&db.pool, &policy, async |tx| {
            let page = shop.outbox_since_in(tx, &OutboxPosition::START, 2).await?;
            for entry in &page.entries {
                sqlx::query("INSERT INTO public.published VALUES ($1)")
                    .bind(entry.order.id.uuid())
                    .execute(&mut **tx)
                    .await?;
            }
            let deleted = shop.acknowledge_outbox_in(tx, &page.next).await?;
            assert_eq!(deleted, page.entries.len() as u64);
            if fails {
                return Err(Error::not_found("broker", "of the host"));
            }
            Ok(page.entries.len())
        })
        .await
    };
    publish(true).await.unwrap_err();
    assert_eq!(count(&db.pool).await, 3);
    assert_eq!(publish(false).await.unwrap(), 2);
    assert_eq!(stored(&db.pool).await.len(), 1);
    assert_eq!(publish(false).await.unwrap(), 1);
    assert_eq!(publish(false).await.unwrap(), 0);
    let published: i64 = sqlx::query_scalar("SELECT count(*) FROM public.published")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(published as usize, positions.len());
}

/// It waits for the transaction that deletes the same entries, and deletes them if that one rolls back.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_another_one() {
    for rolls_back in [false, true] {
        let db = Db::new().await;
        let (shop, positions) = shop_with(&db, 3).await;
        let last = positions[2];
        let mut other = db.pool.begin().await.unwrap();
        let deleted = shop.acknowledge_outbox_in(&mut other, &last).await;
        assert_eq!(deleted.unwrap(), 3);
        let waiting = tokio::spawn(async move { shop.acknowledge_outbox(&last).await });
        eventually("it waits", async || sessions_waiting(&db.pool).await == 1).await;
        if rolls_back {
            other.rollback().await.unwrap();
        } else {
            other.commit().await.unwrap();
        }
        let deleted = waiting.await.unwrap().unwrap();
        assert_eq!(deleted, if rolls_back { 3 } else { 0 });
        assert_eq!(count(&db.pool).await, 0);
    }
}

fn assert_suppressed(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Suppressed, "{error:?}");
    assert_eq!(error.table(), Some("outbox"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_fails_if_a_trigger_or_a_policy_keeps_an_entry() {
    let db = Db::new().await;
    let (shop, positions) = shop_with(&db, 3).await;
    let last = positions[2];
    add_trigger(&db.pool, "outbox", "DELETE", SWALLOW, "").await;
    assert_suppressed(&shop.acknowledge_outbox(&last).await.unwrap_err());
    drop_trigger(&db.pool).await;
    with_role(&db.pool, async |role| {
        let policy = format!(
            "GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock TO {role};
             ALTER TABLE optilock.outbox ENABLE ROW LEVEL SECURITY;
             CREATE POLICY reading ON optilock.outbox FOR SELECT USING (true)"
        );
        run(&db.pool, policy).await;
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(1).connect_with(options).await.unwrap();
        let own = PgInventory::new(pool.clone());
        assert_suppressed(&own.acknowledge_outbox(&last).await.unwrap_err());
        let mut tx = pool.begin().await.unwrap();
        let refused = own.acknowledge_outbox_in(&mut tx, &last).await;
        assert_suppressed(&refused.unwrap_err());
        tx.rollback().await.unwrap();
        pool.close().await;
    })
    .await;
    assert_eq!(count(&db.pool).await, 3);
}
