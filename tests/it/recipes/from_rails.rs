//! A table of Rails, which Rails writes too.

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository},
    sqlx,
};

use super::{
    database,
    frameworks::{Timestamp, compete},
};
use crate::support::db::{assert_idle, sql_of};

#[path = "../../../src/guide/recipes/from_rails.rs"]
mod recipe;
use recipe::{Account, deposit};

const SQL: &str = include_str!("../../../src/guide/recipes/from_rails.sql");
const PAGE: &str = include_str!("../../../src/guide/recipes/from_rails.md");

#[tokio::test]
async fn rails_and_rust_write_the_same_rows() {
    let db = database(SQL).await;
    let [save, destroy] = sql_of(PAGE);
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    accounts.verify().await.unwrap();

    // Rails inserts with the default of the column.
    let create = "INSERT INTO \"shop\".\"accounts\" (\"owner\", \"cents\", \"created_at\", \"updated_at\", \"lock_version\")
        VALUES ('Ana', 0, now(), now(), 0) RETURNING \"id\"";
    let id: i64 = sqlx::query_scalar(create)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let ana = accounts.get(&id).await.unwrap();
    assert_eq!(ana.version, Version::ZERO);
    let read = async || {
        let read = "SELECT cents, lock_version FROM shop.accounts WHERE id = $1";
        let row = sqlx::query_as::<_, (i64, i32)>(read).bind(id);
        row.fetch_one(&db.pool).await.unwrap()
    };
    let write = async |cents: i64, version: i32| {
        let saved = sqlx::query(save)
            .bind(cents)
            .bind(Timestamp(0))
            .bind(version + 1);
        let saved = saved.bind(id).bind(version).execute(&db.pool).await;
        saved.unwrap().rows_affected()
    };

    assert_eq!(write(5, 0).await, 1);
    let stale = accounts.update(&ana).await.unwrap_err();
    let conflict = stale.conflict().unwrap();
    assert_eq!((conflict.expected.get(), conflict.actual.get()), (0, 1));
    let ana = accounts.get(&id).await.unwrap();
    let ana = accounts.update(&ana).await.unwrap();
    assert_eq!(write(9, 1).await, 0, "stale in Rails");
    assert_eq!(read().await, (5, 2));
    let fresh = "SELECT updated_at > '2001-01-01' FROM shop.accounts";
    assert!(
        sqlx::query_scalar::<_, bool>(fresh)
            .fetch_one(&db.pool)
            .await
            .unwrap()
    );

    let rust = async || drop(deposit(&accounts, id, 1).await.unwrap());
    let done = compete(rust, read, write).await;
    let last = accounts.get(&id).await.unwrap();
    assert_eq!((last.cents, last.version.get()), (5 + done, 2 + done));

    let delete = async |version: i64| {
        let version = i32::try_from(version).unwrap();
        let deleted = sqlx::query(destroy)
            .bind(id)
            .bind(version)
            .execute(&db.pool)
            .await;
        deleted.unwrap().rows_affected()
    };
    assert_eq!(delete(ana.version.get()).await, 0);
    assert_eq!(delete(last.version.get()).await, 1);
    let gone = accounts.update(&last).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let ben = accounts.insert(&Account::new("Ben")).await.unwrap();
    assert_eq!(ben.version, Version::ZERO);
    assert_idle(&db.pool).await;
}

#[tokio::test]
async fn the_last_integer_is_an_error_and_no_version() {
    let db = database(SQL).await;
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    let ana = accounts.insert(&Account::new("Ana")).await.unwrap();
    let last = "UPDATE shop.accounts SET lock_version = 2147483647";
    sqlx::query(last).execute(&db.pool).await.unwrap();
    let ana = accounts.get(&ana.id).await.unwrap();
    let refused = accounts.update(&ana).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VersionExhausted);
    assert_eq!(accounts.get(&ana.id).await.unwrap(), ana);
}
