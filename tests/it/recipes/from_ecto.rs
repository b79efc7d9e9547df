//! A table of Ecto, which Ecto writes too.

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

#[path = "../../../src/guide/recipes/from_ecto.rs"]
mod recipe;
use recipe::{Account, deposit};

const SQL: &str = include_str!("../../../src/guide/recipes/from_ecto.sql");
const PAGE: &str = include_str!("../../../src/guide/recipes/from_ecto.md");

#[tokio::test]
async fn ecto_and_rust_write_the_same_rows() {
    let db = database(SQL).await;
    let [update, delete] = sql_of(PAGE);
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    accounts.verify().await.unwrap();

    let insert = "INSERT INTO \"shop\".\"accounts\" (\"cents\", \"lock_version\", \"owner\", \"inserted_at\", \"updated_at\")
        VALUES (0, 1, 'Ana', now(), now()) RETURNING \"id\"";
    let id: i64 = sqlx::query_scalar(insert)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let ana = accounts.get(&id).await.unwrap();
    assert_eq!(ana.version, Version::FIRST);
    let read = async || {
        let read = "SELECT cents, lock_version FROM shop.accounts WHERE id = $1";
        let row = sqlx::query_as::<_, (i64, i32)>(read).bind(id);
        row.fetch_one(&db.pool).await.unwrap()
    };
    let write = async |cents: i64, version: i32| {
        let updated = sqlx::query(update)
            .bind(cents)
            .bind(version + 1)
            .bind(Timestamp(0));
        let updated = updated.bind(id).bind(version).execute(&db.pool).await;
        updated.unwrap().rows_affected()
    };

    assert_eq!(write(5, 1).await, 1);
    let stale = accounts.update(&ana).await.unwrap_err();
    let conflict = stale.conflict().unwrap();
    assert_eq!((conflict.expected.get(), conflict.actual.get()), (1, 2));
    let ana = accounts.get(&id).await.unwrap();
    accounts.update(&ana).await.unwrap();
    assert_eq!(write(9, 2).await, 0, "stale in Ecto");
    assert_eq!(read().await, (5, 3));

    let rust = async || drop(deposit(&accounts, id, 1).await.unwrap());
    let done = compete(rust, read, write).await;
    let last = accounts.get(&id).await.unwrap();
    assert_eq!((last.cents, last.version.get()), (5 + done, 3 + done));

    let (_, version) = read().await;
    for (version, rows) in [(version - 1, 0), (version, 1)] {
        let deleted = sqlx::query(delete).bind(id).bind(version);
        let deleted = deleted.execute(&db.pool).await.unwrap();
        assert_eq!(deleted.rows_affected(), rows);
    }
    let gone = accounts.update(&last).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let ben = accounts.insert(&Account::new("Ben")).await.unwrap();
    assert_eq!(ben.version, Version::FIRST);
    assert_idle(&db.pool).await;
}
