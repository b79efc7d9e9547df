//! An app with migrations of its own beside those of the inventory.

use axum::{Router, body::Body, body::to_bytes, http::Request};
use optilock::{
    inventory::PgInventory,
    migrate,
    sqlx::{
        self, PgPool, SqlSafeStr,
        migrate::{Migration, MigrationType, Migrator},
    },
};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::{
    db::{Db, assert_balanced, pool_options},
    goods::add,
    triggers::run,
};

#[path = "../../../src/guide/recipes/axum_migrations.rs"]
mod recipe;
use recipe::app;

const SQL: &str = include_str!("../../../src/guide/recipes/axum_migrations.sql");

/// Returns the migrations of an app: what `sqlx::migrate!()` makes of a folder with one file.
fn migrator(sql: &'static str) -> Migrator {
    let (kind, description) = (MigrationType::Simple, "shelves".into());
    let migration = Migration::new(1, description, kind, sql.into_sql_str(), false);
    Migrator::with_migrations(vec![migration])
}

/// Returns a pool of an app, which has the default search path.
async fn pool(db: &Db) -> PgPool {
    let options = pool_options(4);
    options.connect_with(db.database.options()).await.unwrap()
}

/// Returns the descriptions in the two histories: the app's, and the inventory's.
async fn histories(pool: &PgPool) -> (Vec<String>, Vec<String>) {
    let of = async |sql: &'static str| sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
    (
        of("SELECT description FROM public._sqlx_migrations ORDER BY version").await,
        of("SELECT description FROM optilock._sqlx_migrations ORDER BY version").await,
    )
}

async fn get(app: Router, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_starts_and_starts_again() {
    let db = Db::empty().await;
    let (pool, own) = (pool(&db).await, migrator(SQL));
    drop(app(pool.clone(), &own).await.unwrap());
    let first = histories(&pool).await;
    assert_eq!(
        (first.0.as_slice(), first.1.first()),
        (&["shelves".to_owned()][..], Some(&"inventory".to_owned()))
    );

    add(&PgInventory::new(pool.clone()), "pot", 5).await;
    run(&pool, "INSERT INTO shelves VALUES ('pot', 'A1')").await;
    let app = app(pool.clone(), &own).await.unwrap();
    assert_eq!(histories(&pool).await, first);
    assert_eq!(
        get(app.clone(), "/shelves/pot").await,
        (200, "5 on shelf A1".to_owned())
    );
    assert_eq!(
        get(app, "/shelves/mug").await,
        (404, "not-found".to_owned())
    );
    assert_balanced(&db.pool).await;
}

/// Without a foreign key any order is right, and both migrators have a migration 1.
#[tokio::test(flavor = "multi_thread")]
async fn either_order_is_right_without_a_foreign_key() {
    let own = migrator("CREATE TABLE shelves (sku text PRIMARY KEY, shelf text NOT NULL)");
    let mut found = Vec::new();
    for inventory_first in [true, false] {
        let db = Db::empty().await;
        let pool = pool(&db).await;
        for _ in 0..2 {
            if inventory_first {
                migrate(&pool).await.unwrap();
            }
            own.run(&pool).await.unwrap();
            migrate(&pool).await.unwrap();
        }
        found.push(histories(&pool).await);
        add(&PgInventory::new(pool), "pot", 5).await;
        assert_balanced(&db.pool).await;
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_migrate_once() {
    let db = Db::empty().await;
    let mut instances = JoinSet::new();
    for _ in 0..8 {
        let pool = pool(&db).await;
        instances.spawn(async move { app(pool, &migrator(SQL)).await.map(drop) });
    }
    for started in instances.join_all().await {
        started.unwrap();
    }
    assert_eq!(histories(&db.pool).await.0, ["shelves"]);
}
