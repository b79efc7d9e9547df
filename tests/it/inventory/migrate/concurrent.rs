//! A migration beside writers, beside other instances, and behind a lock.

use std::time::Duration;

use optilock::{
    inventory::{Inventory, PgInventory},
    migrate,
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{OLDER, assert_usable, has_index, run};
use crate::support::{
    connect::pool_of,
    db::{Db, assert_balanced, eventually, order_count, pool_options, sessions_waiting},
    goods::{add, cart},
};

/// An index is built while checkouts are in transactions of the host: the build waits for those that are open, and
/// checkouts don't wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn checkouts_do_not_wait_for_the_build_of_an_index() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    run(&db.pool, OLDER).await;
    let mut open = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut open, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let pool = db.pool.clone();
    let migrating = tokio::spawn(async move { migrate(&pool).await });
    eventually("the build waits for the open transaction", async || {
        sessions_waiting(&db.pool).await == 1
    })
    .await;
    add(&shop, "mug", 20).await;
    for _ in 0..20 {
        let sale = shop.checkout(cart(&[("mug", 1)]));
        let limit = Duration::from_secs(5);
        timeout(limit, sale)
            .await
            .expect("no wait for a lock")
            .unwrap();
    }
    assert!(!migrating.is_finished());
    open.commit().await.unwrap();
    migrating.await.unwrap().unwrap();
    assert!(has_index(&db.pool).await);
    assert_eq!(order_count(&db.pool).await, 21);
    assert_balanced(&db.pool).await;
}

/// Another session holds the lock that a step needs. The step gives up after half a second each time, so that writers
/// are not kept waiting behind it.
#[tokio::test(flavor = "multi_thread")]
async fn writers_wait_shortly_behind_a_step_that_waits_for_its_lock() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    run(
        &db.pool,
        "UPDATE optilock._sqlx_migrations SET success = false",
    )
    .await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE optilock.products IN SHARE UPDATE EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let pool = db.pool.clone();
    let migrating = tokio::spawn(async move { migrate(&pool).await });
    eventually("the step waits for its lock", async || {
        sessions_waiting(&db.pool).await == 1
    })
    .await;
    for _ in 0..10 {
        let sale = shop.checkout(cart(&[("pot", 1)]));
        timeout(Duration::from_secs(5), sale)
            .await
            .unwrap()
            .unwrap();
    }
    eventually("the step gives up its wait", async || {
        sessions_waiting(&db.pool).await == 0
    })
    .await;
    assert!(!migrating.is_finished(), "it is tried again");
    holder.rollback().await.unwrap();
    migrating.await.unwrap().unwrap();
    assert_usable_again(&db.pool, &shop).await;
}

async fn assert_usable_again(pool: &PgPool, shop: &PgInventory) {
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_balanced(pool).await;
}

/// Another process holds the lease. This one holds neither a connection nor a snapshot meanwhile, and continues when
/// the lease has expired.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_waits_for_another_holds_no_connection() {
    let db = Db::new().await;
    run(&db.pool, OLDER).await;
    let held = "UPDATE optilock.migration_state
        SET holder = gen_random_uuid(), held_until = clock_timestamp() + '30 seconds'";
    run(&db.pool, held).await;
    // The only connection is free for the test between two questions.
    let pool = pool_of(&db, 1).await;
    let migrating = tokio::spawn({
        let pool = pool.clone();
        async move { migrate(&pool).await }
    });
    let looks = "SELECT calls FROM (SELECT count(*) AS calls FROM pg_stat_activity
        WHERE datname = current_database() AND (state LIKE 'idle in transaction%' OR backend_xmin IS NOT NULL)
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()) it";
    // A bounded wait, to see that it does not migrate meanwhile.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut conn = timeout(Duration::from_secs(5), pool.acquire())
            .await
            .unwrap()
            .unwrap();
        let snapshots: i64 = sqlx::query_scalar(looks)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(snapshots, 0);
    }
    assert!(!migrating.is_finished() && !has_index(&db.pool).await);
    run(
        &db.pool,
        "UPDATE optilock.migration_state SET held_until = clock_timestamp() - '1 second'::interval",
    )
    .await;
    let migrated = timeout(Duration::from_secs(20), migrating).await;
    migrated.unwrap().unwrap().unwrap();
    assert!(has_index(&db.pool).await);
    let holder: Option<sqlx::types::Uuid> =
        sqlx::query_scalar("SELECT holder FROM optilock.migration_state")
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!(holder, None, "the lease was given back");
    assert_usable(&db).await;
}

/// An index that another process builds at the moment is invalid, and is not removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_another_process_builds_stays() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 100).await;
    run(&db.pool, OLDER).await;
    let mut open = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut open, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let mut other = db.pool.acquire().await.unwrap().detach();
    let building = tokio::spawn(async move {
        let build =
            "CREATE INDEX CONCURRENTLY orders_of_customer ON optilock.orders (customer, id)";
        sqlx::raw_sql(build).execute(&mut other).await
    });
    eventually("the other process builds", async || {
        sessions_waiting(&db.pool).await == 1
    })
    .await;
    let pool = db.pool.clone();
    let migrating = tokio::spawn(async move { migrate(&pool).await });
    // A bounded wait, to see that this one waits in no statement meanwhile.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(sessions_waiting(&db.pool).await, 1);
    }
    assert!(!migrating.is_finished());
    open.commit().await.unwrap();
    building.await.unwrap().expect("its index stays");
    migrating.await.unwrap().unwrap();
    assert!(has_index(&db.pool).await);
    assert_balanced(&db.pool).await;
}

/// A backup reads the table while an invalid index is removed: nothing asks for a lock behind which writers wait.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_index_is_removed_beside_a_long_read() {
    let db = Db::new().await;
    assert_usable(&db).await;
    run(
        &db.pool,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'optilock.orders_of_customer'::regclass;
         DELETE FROM optilock._sqlx_migrations WHERE version = 2",
    )
    .await;
    let mut backup = db.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM optilock.orders")
        .execute(&mut *backup)
        .await
        .unwrap();
    let pool = db.pool.clone();
    let migrating = tokio::spawn(async move { migrate(&pool).await });
    eventually("the removal waits for the backup", async || {
        sessions_waiting(&db.pool).await == 1
    })
    .await;
    let exclusive = "SELECT count(*) FROM pg_locks
        WHERE relation = 'optilock.orders'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted";
    // A bounded wait, to see that no exclusive lock is asked for meanwhile.
    for _ in 0..20 {
        let asked: i64 = sqlx::query_scalar(exclusive)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(asked, 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!migrating.is_finished());
    backup.rollback().await.unwrap();
    migrating.await.unwrap().unwrap();
    assert!(has_index(&db.pool).await);
}

/// The limit of the role is for requests; the history is written also behind a lock that takes longer.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_limit_does_not_apply() {
    let db = Db::new().await;
    run(&db.pool, OLDER).await;
    let options = db
        .database
        .options()
        .options([("statement_timeout", "100ms")]);
    let limited = pool_options(2).connect_with(options).await.unwrap();
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.migration_state FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let migrating = tokio::spawn(async move { migrate(&limited).await });
    eventually("the lease is behind the lock", async || {
        sessions_waiting(&db.pool).await == 1
    })
    .await;
    // A bounded wait, longer than the limit of the role.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!migrating.is_finished());
    holder.rollback().await.unwrap();
    migrating.await.unwrap().unwrap();
    assert!(has_index(&db.pool).await);
}
